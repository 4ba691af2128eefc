"""The command `lengthwise`: one verb a job."""

import contextlib
import difflib
import importlib
import io
import os
import select
import sys
from importlib.metadata import version
from typing import TextIO

from analysis.errors import ReportError
from experiments.config.remembered import refuse_misspelt, remember_help, remembered_help
from experiments.errors import UsageError
from experiments.machine import keep_freed_memory

VERBS = {
    "fit": "train one model and test it at every length",
    "validate": "measure a checkpoint on the validation examples",
    "test": "measure a checkpoint at every length",
    "predict": "print what a checkpoint makes of the test examples",
    "translate": "text in, text out, from a checkpoint",
    "align": "word alignments of a checkpoint's attention, and their error rate",
    "look": "what a checkpoint looks at in a sentence, as figures and a page to click in",
    "embed": "word vectors of plain text, by GloVe, CBOW or skip-gram, and the nearest neighbours of words",
    "sweep": "run a W&B sweep file here, without W&B",
    "gradients": "what reaches a source token of the learning signal, by distance",
    "report": "rebuild figures and report from finished runs",
    "parallelism": "time, memory and sequential depth of a training step against length",
    "reproduce": "published results by length, theirs beside ours",
    "sizes": "print parameter counts and the widths at which they match",
}
TRAINING_VERBS = ("fit", "validate", "test", "predict")
MODULES = {
    "translate": "experiments.verbs.translate",
    "align": "experiments.verbs.align",
    "look": "experiments.verbs.look",
    "embed": "experiments.verbs.embed",
    "sweep": "experiments.verbs.sweep",
    "gradients": "experiments.verbs.gradients",
    "report": "analysis.report.command",
    "parallelism": "experiments.verbs.parallelism",
    "reproduce": "experiments.verbs.reproduce",
    "sizes": "experiments.verbs.sizes",
}


def usage() -> str:
    """What `lengthwise --help` prints."""
    verbs = "\n".join(f"  {verb:11} {purpose}" for verb, purpose in VERBS.items())
    return (
        "usage: lengthwise VERB [options]\n\n"
        "Measures what sequence length does to sequence-to-sequence architectures.\n\n"
        f"{verbs}\n\n"
        "lengthwise VERB --help explains the options of a verb. A first trial, about a minute:\n"
        "  lengthwise fit --model LuongGlobal --data.task reverse --data.length 20"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run a verb; bad input ends in exit code 2 and one line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    verb, *rest = arguments or ["--help"]
    _prepare_streams()
    keep_freed_memory()
    try:
        try:
            return _run(verb, rest)
        finally:
            _flush()
    except ReportError as error:
        message = str(error)
    except OSError as error:  # a full disk, a folder that is for reading only
        if isinstance(error, BrokenPipeError) and (error.filename or _has_no_reader(sys.stdout)):
            return 0  # the reader, such as head, has had enough
        message = f"{error.strerror or error}: {error.filename or 'no file named'}"
    except MemoryError as error:
        message = f"out of memory{f': {error}' if str(error) else ''}"
    except RuntimeError as error:
        if "home directory" not in str(error):
            raise
        message = "this user has no home; set the environment variable HOME to a folder of yours"
    except KeyboardInterrupt:
        print(f"\nlengthwise {verb}: stopped; the same command continues where it was", file=sys.stderr)
        return 130
    print(f"lengthwise {verb}: error: {message}", file=sys.stderr)
    return 2


def _run(verb: str, rest: list[str]) -> int:
    for number, word in enumerate((verb, *rest), start=1):
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"argument {number}, {word!r}, is not UTF-8; write it so, or rename the file") from None
    if verb in ("-h", "--help"):
        print(usage())
        return 0
    if verb == "--version":
        print(f"lengthwise {version('lengthwise')}")
        return 0
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"'{verb}' is not a verb; {hint}The verbs are {', '.join(VERBS)}")
    if {"-h", "--help", "--help-all"} & set(rest) or rest[:1] == ["--model.help"]:
        return _help(verb, rest)
    if verb in TRAINING_VERBS:
        refuse_misspelt(rest)
    return _start(verb, rest)


def _start(verb: str, rest: list[str]) -> int:
    if verb in TRAINING_VERBS:
        return importlib.import_module("experiments.verbs.fit").main(verb, rest)
    return importlib.import_module(MODULES[verb]).main(rest)


def _help(verb: str, rest: list[str]) -> int:
    """Print the help of a verb, as it was last time if nothing has changed since."""
    text = remembered_help(verb, rest)
    if text is None:
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):  # that of argparse
            _start(verb, rest)
        text = printed.getvalue()
        remember_help(verb, rest, text)
    print(text, end="")
    return 0


def _prepare_streams() -> None:
    """Text goes in as UTF-8 and out as such, whatever the locale; a stream that the caller closed is an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # not in a notebook
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # a folder's name may be neither


def _flush() -> None:
    """Write what standard output still holds, as long as an error can be told."""
    try:
        sys.stdout.flush()
    except OSError as error:
        error.filename = "standard output"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try again at its end
        raise


def _has_no_reader(stream: TextIO) -> bool:
    ends = select.poll()
    ends.register(stream, 0)  # nothing but errors
    return bool(ends.poll(0))


if __name__ == "__main__":
    sys.exit(main())
