"""A step over accumulated batches is one over a large batch, and what is counted in steps is counted in such steps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config.trial import Trial
from experiments.sweep.dry_run import cells, measure
from tests.helpers.trials import history, results, run, run_until, small_trial

# Sources of 2 to 5 tokens: batches of like length differ in their number of target tokens.
UNEQUAL = {"data__train_examples": 60, "data__min_length": 2, "data__batch_tokens": 10_000, "model__dropout": 0.0}


def test_accumulated_batches_train_like_one_large_batch(tmp_path: Path) -> None:
    steps = {"trainer__max_steps": 8, "trainer__val_check_interval": 4, "trainer__log_every_n_steps": 1}
    large = small_trial(tmp_path, **UNEQUAL, **steps)
    parts = small_trial(tmp_path, **UNEQUAL, **steps, data__batch_size=20, trainer__accumulate_grad_batches=3)
    for trial in (large, parts):
        run(trial)
    losses = [{row[:2]: float(row[3]) for row in history(trial) if row[2] == "loss"} for trial in (large, parts)]
    assert losses[0].keys() == {(str(n), "train") for n in range(1, 9)} | {("4", "validation"), ("8", "validation")}
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_validations_are_counted_in_optimiser_steps(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, trainer__accumulate_grad_batches=4, trainer__max_steps=15)
    assert run(trial)["steps"] == 15
    assert {int(step) for step, split, *_ in history(trial) if split == "validation"} == {10, 15}


@pytest.mark.parametrize("step", [9, 10, 14])
def test_a_trial_stopped_inside_an_accumulation_continues_to_the_same_numbers(
    finished: Callable[..., Trial], tmp_path: Path, step: int
) -> None:
    changes = {"trainer__accumulate_grad_batches": 3, "data__min_length": 2, "trainer__max_steps": 20}
    whole, stopped = finished(**changes), small_trial(tmp_path, **changes)
    run_until(stopped, step)
    run(stopped)
    assert results(stopped) == results(whole)
    assert history(stopped) == history(whole)


def test_a_dry_run_measures_whole_steps(tmp_path: Path) -> None:
    [cell] = cells([small_trial(tmp_path, trainer__accumulate_grad_batches=4, trainer__max_steps=35)])
    measure(cell, threads=1)
    assert cell.step > 0
    assert cell.passes == 4 + 1  # 35 steps by 10, and the test, which has as many examples
