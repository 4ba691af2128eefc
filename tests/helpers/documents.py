"""The committed pages and the commands in them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()


def commands(words: str, page: str = README) -> list[list[str]]:
    """Arguments of every command in a shell block that holds these words, at its beginning or behind a pipe."""
    blocks = re.findall(r"```bash\n(.*?)```", page, re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if words in line]
    return [shlex.split(line.partition(words)[2], comments=True) for line in lines]
