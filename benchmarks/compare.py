"""Run benchmarks of several toolkits one after the other and set their results beside each other.

    python -m benchmarks.compare "python -m benchmarks.training gru_luong" "python bench_opennmt.py gru_luong"

Each command prints lines `TOOLKIT ARCHITECTURE METRIC VALUE`; larger values are better. The table has the median of
each, and the ratio of lengthwise's to the best of the others.
"""

import argparse
import contextlib
import statistics
import subprocess
from collections import defaultdict

import pandas as pd

OURS = "lengthwise"
Key = tuple[str, str, str]  # toolkit, architecture, metric


def read(output: str) -> dict[Key, list[float]]:
    """The values of all result lines; other lines are passed over."""
    values = defaultdict(list)
    for line in output.splitlines():
        fields = line.partition("#")[0].split()
        if len(fields) == 4:
            toolkit, architecture, metric, value = fields
            with contextlib.suppress(ValueError):
                number = float(value)
                values[toolkit, architecture.removesuffix("_float32"), metric].append(number)
    return dict(values)


def table(values: dict[Key, list[float]]) -> pd.DataFrame:
    """A row for each architecture and metric, a column for each toolkit, and the ratio of ours to the best other."""
    rows = [(*key, statistics.median(each)) for key, each in values.items()]
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
    options = parser.parse_args()
    values: dict[Key, list[float]] = defaultdict(list)
    for command in options.commands * options.rounds:
        print(f"$ {command}", flush=True)
        with subprocess.Popen(command, shell=True, text=True, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            output = []
            for line in process.stdout:
                print(line, end="", flush=True)
                output.append(line)
        if process.returncode != 0:
            parser.exit(1, f"compare: '{command}' ended with exit code {process.returncode}\n")
        for key, each in read("".join(output)).items():
            values[key].extend(each)
    print(table(values).to_string(float_format="%.2f"))


if __name__ == "__main__":
    main()
