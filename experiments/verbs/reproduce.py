"""`lengthwise reproduce [NAME]`: published results by length, theirs beside ours."""

import argparse
import importlib
import shlex
import sys
from pathlib import Path

import yaml

from analysis.report.blocks import Table
from analysis.reproductions.page import states, write_page
from analysis.reproductions.published import Reproduction
from experiments.config.arguments import OneLineParser, require_at_least
from experiments.errors import UsageError
from experiments.files import whole_file
from experiments.reproductions.coverage import check_coverage
from experiments.reproductions.reproduction_file import SIZES, find, names, read_reproduction
from experiments.verbs import sweep

CONFIGS = "experiments/configs/"
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """List reproductions, or run one and show it; 0, 1 when trials failed, 130 after Ctrl-C.

    Raises:
        UsageError: bad input, in one line.
    """
    options = _parser().parse_args(arguments)
    if options.name is None:
        for name, paper, claim, cost, state in overview(options.output).rows:
            print(f"{name}: {state}\n  {claim} ({paper})\n  {cost}")
        print("\nlengthwise reproduce NAME runs one and shows it")
        return 0
    if options.workers is not None:
        require_at_least("workers", options.workers, 1)
    file = find(options.name)
    reproduction = read_reproduction(file, options.size)
    if options.sweep_file is not None:
        return _write_sweep(reproduction, options.sweep_file)
    folder = options.output / (reproduction.name if options.size == "small" else f"{reproduction.name}-{options.size}")
    trials = None if reproduction.probe else _trials(file, reproduction, folder, options.show)
    status = 0 if options.show else _measure(reproduction, folder, options.workers)
    if status == INTERRUPTED:
        return status
    size = [] if options.size == "small" else ["--size", options.size]
    print(write_page(reproduction, folder, shlex.join(["lengthwise", "reproduce", options.name, *size]), trials))
    print(f"\n{folder / 'reproduction.html'}, {folder / 'reproduction.md'}")
    return status


def overview(folder: Path) -> Table:
    """Every reproduction that comes with the suite, and the answer that is kept below a folder."""
    answers = states(folder, names())
    found = [read_reproduction(find(name)) for name in names()]
    rows = [(one.name, f"{one.paper}, {one.where}", one.title, one.cost, answers[one.name]) for one in found]
    return Table(("name", "paper", "claim", "cost, small form", "state"), rows, prose=True)


def _trials(file: Path, reproduction: Reproduction, folder: Path, show: bool) -> list[str] | None:
    """Write sweep.yaml into the folder; the names of its trials, or None where they cannot be known beforehand.

    Raises:
        UsageError: one line that names the file of the reproduction and the key; not where it is only shown, as
            names depend on files that the trials were trained on, elsewhere perhaps.
    """
    path = folder / "sweep.yaml"
    text = sweep_text(reproduction)
    if not Path(CONFIGS).is_dir():  # not where the suite lies: its own configurations are meant
        text = text.replace(CONFIGS, f"{Path(__file__).parents[1] / 'configs'}/")
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    try:
        trials, *_ = sweep.make_trials(path, folder, None, 0)
    except UsageError as error:
        reason = str(error).replace(str(path), f"{file}: sweep")
        if not show:
            raise UsageError(reason) from None
        print(f"note: all trials in {folder} are taken for those of the sweep; {reason}", file=sys.stderr)
        return None
    if not show:
        check_coverage(file, reproduction, trials)
    return None if reproduction.sweep["method"] == "bayes" else [trial.name for trial in trials]


def _measure(reproduction: Reproduction, folder: Path, workers: int | None) -> int:
    """Run what is missing."""
    if reproduction.probe:
        verb, *words = reproduction.probe
        if (folder / f"{verb}.csv").is_file():
            print(f"{folder / f'{verb}.csv'} is there already; remove it to measure again", file=sys.stderr)
            return 0
        return importlib.import_module(f"experiments.verbs.{verb}").main([*words, "--output", str(folder)])
    given = [] if workers is None else ["--workers", str(workers)]
    return sweep.main([str(folder / "sweep.yaml"), "--output", str(folder), *given])


def sweep_text(reproduction: Reproduction) -> str:
    """The sweep of a reproduction as a file, for `wandb sweep` as for `lengthwise sweep`."""
    content = {"name": f"reproduce-{reproduction.name}", "project": "lengthwise", **reproduction.sweep}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _write_sweep(reproduction: Reproduction, path: Path) -> int:
    if reproduction.probe:
        command = shlex.join(["lengthwise", *reproduction.probe])
        raise UsageError(f"--sweep-file: {reproduction.name} trains nothing; {command} measures it")
    with whole_file(path) as partial:
        partial.write_text(sweep_text(reproduction), encoding="utf-8")
    print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise reproduce",
        description="Without NAME, list the published results that can be reproduced. With it, measure one, and show "
        "the published values beside those measured, and whether they agree, by rules that are written down. The same "
        "command again runs only what is missing. docs/reproductions.md says how to add one.",
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="a reproduction of the list, or a YAML file of your own"
    )
    parser.add_argument(
        "--size", choices=SIZES, default="small", help="the paper's own sizes want a GPU (default %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/reproductions"), metavar="DIR",
                        help="each gets a folder of its name below it (default %(default)s)")  # fmt: skip
    parser.add_argument("--workers", type=int, metavar="N", help="trials at a time (default: one a core)")
    parser.add_argument("--show", action="store_true", help="measure nothing; show what is there")
    parser.add_argument("--sweep-file", type=Path, metavar="FILE",
                        help="only write the sweep, for wandb sweep or lengthwise sweep")  # fmt: skip
    return parser
