"""A real browser without a window, for the tests that have one."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def browse(path: Path, folder: Path, *options: str) -> subprocess.CompletedProcess:
    """What the browser prints of a page; its profile lies in the folder, and it ends with the call."""
    assert BROWSER
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
        "--virtual-time-budget=5000", *options, path.as_uri(),
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(folder), "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def answers_of(page: Path, *options: str) -> dict[str, Any]:
    """What a page writes as JSON into its element `answers`, with what the browser wrote on its console."""
    done = browse(page, page.parent, "--dump-dom", *options)
    found = re.search(r'<pre id="answers">(\{.*\})</pre>', done.stdout)
    assert found, done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return {**json.loads(html.unescape(found[1])), "console": console}
