"""Which steps are validated, and which of their checkpoints is kept as the best."""

from pathlib import Path

from experiments.config.trial import Trial
from experiments.trial.checkpoints import load_checkpoint
from tests.helpers.trials import history, run, small_trial


def validated(trial: Trial, metric: str) -> dict[int, float]:
    """A curve of validation by step."""
    rows = [row for row in history(trial) if row[1:3] == ("validation", metric)]
    return {int(step): float(value) for step, _, _, value in rows}


def test_the_last_step_is_validated_and_kept_though_its_interval_is_not_full(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, trainer__max_steps=35)
    run(trial)
    curve = validated(trial, "loss")
    assert list(curve) == [10, 20, 30, 35]
    steps = {name: load_checkpoint(trial.folder / "checkpoints" / f"{name}.ckpt").step for name in ("best", "last")}
    assert steps == {"best": min(curve, key=curve.__getitem__), "last": 35}
    assert steps["best"] == 35  # a loss that falls


def test_the_checkpoint_kept_is_the_best_by_a_metric_of_which_more_is_better(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, checkpoint__monitor="validation/token_accuracy")
    run(trial)
    curve = validated(trial, "token_accuracy")
    kept = load_checkpoint(trial.folder / "checkpoints" / "best.ckpt").step
    assert curve[kept] == max(curve.values()) > min(curve.values())
