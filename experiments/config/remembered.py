"""Help, and the names of options, as they were last found: known at once, where torch and Lightning take seconds.

One small file in the cache folder holds them. It counts only for the very code and packages that wrote it, so that a
new architecture is in the help the next time it is asked for. Without the file everything is as without this module.
"""

import contextlib
import difflib
import functools
import hashlib
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from analysis.files import replacing
from data.downloads import cache_folder
from experiments.errors import UsageError

FOLDERS = ("lit_models", "data", "experiments", "analysis")
PACKAGES = ("torch", "lightning", "jsonargparse")


def remembered_help(verb: str, arguments: list[str]) -> str | None:
    """What a verb's help printed last time; None where it has to be made."""
    return _read()["help"].get(_help_key(verb, arguments))


def remember_help(verb: str, arguments: list[str], text: str) -> None:
    """Keep what a verb's help has printed."""
    _write("help", _help_key(verb, arguments), text)


def remember_options(model: str, names: list[str]) -> None:
    """Keep the names of all options of a trial of an architecture."""
    if model not in _read()["options"]:
        _write("options", model, names)


def refuse_misspelt(arguments: list[str]) -> None:
    """Refuse an option of a trial that is surely none, before anything heavy is loaded.

    Whatever is not known for sure is left to the parser: all options of a trial whose --model is not given here, names
    of more than two parts, and options that hold others.

    Raises:
        UsageError: the line that the parser would have.
    """
    given = _given(arguments)
    model = given.get("model", "")
    known = _read()["options"].get(model, [])
    groups = {one.rpartition(".")[0] for one in known}
    for name, value in given.items() if known else ():
        group = name.rpartition(".")[0]
        single = group in groups and not value.startswith("{") and value not in ("null", "None")
        if single and name not in (*known, *groups, "config", "model.class_path"):
            raise UsageError(unknown_option("", name, model, known))


def unknown_option(where: str, name: str, model: str, known: list[str]) -> str:
    """One line on a name that is no option.

    Args:
        where: what the line begins with: empty, or the configuration file that gives the option.
        name: such as data.lenght.
        model: the architecture.
        known: names of all its options.
    """
    dashes = "--" if not where or name.startswith("model.") else ""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {dashes}{near[0]}?" if near else "see lengthwise fit --help"
    whose = f" ({model} has no such option)" if name.startswith("model.") else ""
    return f"{where}{dashes}{name} is not an option; {hint}{whose}"


def _given(arguments: list[str]) -> dict[str, str]:
    """Name and text of each option of a command line, as far as it is one; the last of a name counts."""
    given, words = {}, iter(word for word in arguments if word != "--print_config")  # which has no text
    for word in words:
        name, joined, value = word.partition("=")
        if name.startswith("--"):
            given[name[2:]] = value if joined else next(words, "")
    return given


def _help_key(verb: str, arguments: list[str]) -> str:
    return " ".join((verb, *arguments, f"in {shutil.get_terminal_size().columns} columns"))


def _file() -> Path:
    """Raises ValueError where there is no cache folder."""
    return cache_folder() / "options.json"


@functools.cache
def _fingerprint() -> str:
    """What tells one version of code and packages from another: those that this process runs."""
    root = Path(__file__).parents[2]
    files = sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))
    state = [(str(path), status.st_mtime_ns, status.st_size) for path in files for status in [path.stat()]]
    return hashlib.sha256(repr((state, [version(name) for name in PACKAGES], sys.version)).encode()).hexdigest()


def _read() -> dict[str, dict]:
    nothing = {"help": {}, "options": {}}
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
        return content if content["of"] == _fingerprint() and nothing.keys() <= content.keys() else nothing
    except (OSError, ValueError, TypeError, KeyError):
        return nothing


def _write(part: str, key: str, value: str | list[str]) -> None:
    content = _read()
    content[part][key] = value
    # A cache folder that cannot be written is no reason to complain.
    with contextlib.suppress(OSError, ValueError), replacing(_file()) as partial:
        partial.write_text(json.dumps({"of": _fingerprint(), **content}), encoding="utf-8")
