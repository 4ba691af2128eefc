"""Every architecture learns: short copying to near perfection, within a few seconds each."""

import csv
from pathlib import Path

import pytest

from lit_models import architectures
from tests.helpers.trials import results, run, small_trial


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures())
def test_short_copying_is_learnt(name: str, tmp_path: Path) -> None:
    trial = small_trial(
        tmp_path,
        model=name,
        model__hidden_size=32,
        model__dropout=0.0,
        model__learning_rate=0.005,
        data__task="copy",
        data__length=4,
        data__train_examples=4000,
        data__test_examples=200,
        data__batch_tokens=320,
        trainer__max_steps=800,
        trainer__val_check_interval=50,
        early_stopping__monitor="validation/greedy_token_accuracy",
        early_stopping__stopping_threshold=0.99,
    )
    run(trial)
    rows = csv.DictReader(results(trial).splitlines())
    (accuracy,) = [row["value"] for row in rows if row["metric"] == "greedy_token_accuracy"]
    assert float(accuracy) > 0.95
