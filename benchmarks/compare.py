"""Run benchmarks of several toolkits one after the other and set their results beside each other.

    python -m benchmarks.compare "python -m benchmarks.training gru_luong" "python bench_opennmt.py gru_luong"

Each command prints lines `TOOLKIT ARCHITECTURE METRIC VALUE`; larger values are better. The table has the median of
each, and the ratio of lengthwise's to the best of the others. With --slices all run at once, one at a time, and what is
compared is done in a second of processor time: a number `cpu=NUMBER` that every such line has behind a `#`.
"""

import argparse
import contextlib
import re
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterator

import pandas as pd

from benchmarks.slices import Ended, run_in_slices

OURS = "lengthwise"
Key = tuple[str, str, str]  # toolkit, architecture, metric


def read(output: str, by_processor_time: bool = False) -> dict[Key, list[float]]:
    """The values of all result lines; other lines are passed over.

    Raises:
        LookupError: a result line has no rate by processor time, where that is asked for.
    """
    values = defaultdict(list)
    for line in output.splitlines():
        result, _, details = line.partition("#")
        fields = result.split()
        if len(fields) == 4:
            toolkit, architecture, metric, value = fields
            with contextlib.suppress(ValueError):
                number = float(value)
                if by_processor_time:
                    number = _by_processor_time(line, details)
                values[toolkit, architecture.removesuffix("_float32"), metric].append(number)
    return dict(values)


def _by_processor_time(line: str, details: str) -> float:
    rate = re.search(r"\bcpu=(\S+)", details)
    if rate is None:
        raise LookupError(f"'{line}' has no cpu=NUMBER, which --slices needs")
    return float(rate[1])


def table(values: dict[Key, list[float]]) -> pd.DataFrame:
    """A row for each architecture and metric, a column for each toolkit, and the ratio of ours to the best other."""
    rows = [(*key, statistics.median(numbers)) for key, numbers in values.items()]
    names = ["toolkit", "architecture", "metric", "value"]
    wide = pd.DataFrame(rows, columns=names).pivot_table(index=names[1:3], columns="toolkit", values="value")
    others = wide.drop(columns=OURS, errors="ignore")
    if OURS in wide and len(others.columns) > 0:
        wide["ratio"] = wide[OURS] / others.max(axis=1)
    return wide


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description="Run benchmark commands in turn and compare what they print.")
    parser.add_argument("commands", nargs="+", metavar="COMMAND", help="in quotes; run by the shell")
    parser.add_argument("--rounds", type=int, default=1, help="how often all are run, in turn (default: 1)")
    parser.add_argument(
        "--slices",
        type=float,
        metavar="SECONDS",
        help="run all at once, each for so many seconds at a time while the others are stopped, and compare rates by "
        "processor time: for a machine whose speed changes (default: one command after the other)",
    )
    options = parser.parse_args()
    if options.slices is not None and options.slices <= 0:
        parser.error(f"--slices: {options.slices:g} must be above 0")
    values: dict[Key, list[float]] = defaultdict(list)
    try:
        for _ in range(options.rounds):
            for key, numbers in _round(options.commands, options.slices).items():
                values[key].extend(numbers)
    except (OSError, LookupError) as error:
        parser.exit(1, f"compare: {error}\n")
    print(table(values).to_string(float_format="%.2f"))


def _round(commands: list[str], slices: float | None) -> dict[Key, list[float]]:
    """Everything once.

    Raises:
        OSError: a command failed; the message says which.
        LookupError: a result line has no rate by processor time.
    """
    outputs = []
    for command, ended in zip(commands, _run(commands, slices), strict=True):
        if ended.exit_code != 0:
            raise OSError(f"'{command}' ended with exit code {ended.exit_code}")
        outputs.append(ended.output)
    return read("\n".join(outputs), by_processor_time=slices is not None)


def _run(commands: list[str], slices: float | None) -> Iterator[Ended]:
    """One command after the other, each when it is asked for; in slices, all before the first is handed out."""
    if slices is None:
        yield from map(_run_alone, commands)
        return
    print(f"{len(commands)} commands in slices of {slices:g} s; their output follows", flush=True)
    for command, ended in zip(commands, run_in_slices(commands, slices), strict=True):
        print(f"$ {command}\n{ended.output}", end="", flush=True)
        yield ended


def _run_alone(command: str) -> Ended:
    """Show what the command prints as it comes."""
    print(f"$ {command}", flush=True)
    output = []
    with subprocess.Popen(command, shell=True, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            output.append(line)
    return Ended(process.returncode, "".join(output))


if __name__ == "__main__":
    main()
