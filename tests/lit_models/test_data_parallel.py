"""Two processes with half of each batch compute what one computes with all of it."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.trials import arguments, run, small_trial

ROOT = Path(__file__).parents[2]


def table(folder: Path) -> dict[tuple[str, ...], float]:
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {(row["eval_length"], row["position"], row["metric"]): float(row["value"]) for row in rows}


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    # Lengths vary, so the two halves of a batch hold different numbers of tokens; some batches have an odd row.
    changes = {"model__dropout": 0.0, "data__min_length": 2, "data__eval_lengths": "[3]", "data__test_examples": 41}
    changes |= {"trainer__max_steps": 10, "trainer__val_check_interval": 5}
    alone = small_trial(tmp_path / "alone", **changes)
    run(alone)
    shared = small_trial(tmp_path / "shared", **changes)
    command = [sys.executable, "-m", "experiments.main", "fit", *arguments(tmp_path / "shared", **changes)]
    command += ["--trainer.devices=2", "--trainer.strategy=ddp"]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1"}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    one, two = table(alone.folder), table(shared.folder)
    assert one.keys() == two.keys()
    for key, value in one.items():
        if key[2] != "padding":  # a rank without a row carries an empty one
            assert two[key] == pytest.approx(value, rel=1e-3, abs=1e-3), key
