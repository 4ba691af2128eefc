"""Processor time from the folders of many trials to their report: `python benchmarks/report.py [TRIALS]`.

There are 500 unless said. They are made up: seven architectures at six lengths with 11 seeds, a sweep of widths, text,
gradients and timings.
"""

import sys
import tempfile
import time
from pathlib import Path

from analysis.report.command import main
from tests.helpers.report_folders import write_everything

LENGTHS = (5, 10, 20, 40, 60, 80)
ARCHITECTURES = 7


def measure(trials: int) -> float:
    """Seconds of processor time from the folders of about so many trials to the finished report."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(max(2, round(trials / ARCHITECTURES / len(LENGTHS))))
        write_everything(Path(folder), lengths=LENGTHS, seeds=seeds)
        count = sum(1 for _ in Path(folder).rglob("summary.json"))
        before = time.process_time()
        if main([folder, "--output", f"{folder}/out"]):
            sys.exit("the report failed")
        spent = time.process_time() - before
    print(f"{count} trials: {spent:.1f} s of processor time")
    return spent


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
