"""What a sweep will take is measured before it is begun."""

import re
from pathlib import Path

import pytest
import torch

from experiments.main import main
from experiments.sweep.dry_run import cells, measure
from experiments.trial.environment import set_arithmetic
from experiments.verbs.sweep import make_trials
from tests.helpers.trials import run, sweep_file


def test_the_dry_run_names_each_kind_of_trial_its_size_and_its_time_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = sweep_file(
        tmp_path, model={"values": ["GRU", "LuongGlobal"]}, data__length={"values": [5, 8]},
        seed_everything={"values": [0, 1, 2]},
    )  # fmt: skip
    output = tmp_path / "runs"
    assert main(["sweep", str(path), "--output", str(output), "--dry-run", "--workers", "2"]) == 0
    assert not output.exists()
    header, *rows, last = capsys.readouterr().out.splitlines()
    columns = header.split()
    seen = [dict(zip(columns, row.split(), strict=True)) for row in rows]
    assert [(row["architecture"], row["length"]) for row in seen] == [
        ("GRU", "5"), ("GRU", "8"), ("LuongGlobal", "5"), ("LuongGlobal", "8"),
    ]  # fmt: skip
    assert {(row["trials"], row["complete"], row["steps"]) for row in seen} == {("3", "0", "40")}
    assert all(float(row["s/step"]) > 0 for row in seen)
    assert last.startswith("12 trials, 0 of them complete: ")
    trial = make_trials(path, output, None, 0)[0][0]
    assert seen[0]["parameters"] == f"{run(trial)['num_params']:,}"
    assert main(["sweep", str(path), "--output", str(output), "--dry-run"]) == 0
    assert re.search(r"^GRU +reverse +5 +3 +1 ", capsys.readouterr().out, re.M)


def test_the_estimate_is_the_time_of_steps_validations_and_the_final_test(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, data__eval_lengths={"value": [10]}, trainer__max_steps={"value": 400})
    [cell] = cells(make_trials(path, tmp_path / "runs", None, 0)[0])
    measure(cell, threads=1)
    cell.step, cell.evaluation = 0.25, 2.0
    # 400 steps, 40 validations of 40 examples of length 5, a test of 40 of length 5 and 40 of length 10
    assert cell.seconds == pytest.approx(400 * 0.25 + (40 + 3) * 2.0)


@pytest.mark.parametrize("tf32", [False, True])
def test_a_dry_run_measures_in_the_arithmetic_of_the_trial(tf32: bool, tmp_path: Path) -> None:
    path = sweep_file(tmp_path, tf32={"value": tf32}, data__test_examples={"value": 1})
    [cell] = cells(make_trials(path, tmp_path / "runs", None, 0)[0])
    set_arithmetic(not tf32)
    try:
        measure(cell, threads=1)
        assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (tf32, tf32)
    finally:
        set_arithmetic()


def test_a_dry_run_says_which_trial_cannot_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = sweep_file(tmp_path, data__vocabulary={"value": 10**12})
    assert main(["sweep", str(path), "--output", str(tmp_path / "runs"), "--dry-run"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "GRU-reverse-L5-s0-" in printed and "memory" in printed
