"""What validation measures is known before a trial begins."""

from pathlib import Path

import pytest

from experiments.config.monitors import ALIGNMENT, BLEU, EVERYWHERE, ON_SYMBOLS, ON_TEXT
from experiments.config.parser import make_cli
from experiments.errors import UsageError
from tests.helpers.trials import history, run, small_trial

NUMBERS = {"data__task": "numbers", "data__length": 3, "data__vocabulary": 400}  # German writes each as one word
SHORT = {"trainer__max_steps": 2, "trainer__val_check_interval": 2}


def measured(folder: Path, **changes: object) -> set[str]:
    trial = small_trial(folder, **SHORT, **changes)
    run(trial)
    return {metric for _, split, metric, _ in history(trial) if split == "validation"}


def test_the_known_metrics_are_those_that_validation_writes(tmp_path: Path) -> None:
    symbols, text = {*EVERYWHERE, *ON_SYMBOLS}, {*EVERYWHERE, *ON_TEXT}
    assert measured(tmp_path, model="GRU") == symbols
    assert measured(tmp_path, model="LuongGlobal") == {*symbols, ALIGNMENT}
    assert measured(tmp_path, model="LuongGlobal", data__task="sort") == symbols
    assert measured(tmp_path, model="GRU", data__task="suffix-lookup", data__length=9) == {*EVERYWHERE}
    assert measured(tmp_path, **NUMBERS) == text
    assert measured(tmp_path, **NUMBERS, data__target_language="en") == {*text, BLEU}


def test_bits_are_refused_where_a_task_does_not_know_them(tmp_path: Path) -> None:
    asked = {"data__length": 9, "checkpoint__monitor": "validation/bits_recovered"}
    small_trial(tmp_path, data__task="induction", **asked)
    with pytest.raises(UsageError, match=r"checkpoint\.monitor: validation/bits_recovered is no metric of validation"):
        small_trial(tmp_path, data__task="suffix-lookup", **asked)


def test_bleu_is_refused_where_no_reference_has_four_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"checkpoint\.monitor: validation/bleu is not measured: BLEU is undefined"):
        small_trial(tmp_path, **NUMBERS, checkpoint__monitor="validation/bleu")


@pytest.mark.parametrize(
    ("metric", "mode"),
    [("loss", "min"), ("perplexity", "min"), ("exact_match", "max"), ("greedy_token_accuracy", "max"),
     ("bits_recovered", "max")],
)  # fmt: skip
@pytest.mark.parametrize("group", ["checkpoint", "early_stopping"])
def test_the_direction_follows_the_metric_and_a_contradiction_is_refused(
    tmp_path: Path, group: str, metric: str, mode: str
) -> None:
    chosen = {f"{group}__monitor": f"validation/{metric}", "early_stopping__halvings": 1}
    trial = small_trial(tmp_path, **chosen)
    assert trial.config[group]["mode"] == mode
    assert trial.name == small_trial(tmp_path, **chosen, **{f"{group}__mode": mode}).name
    trainer = make_cli({**trial.config, "checkpoint": {**trial.config["checkpoint"], "dirpath": "nowhere"}}).trainer
    callback = trainer.checkpoint_callback if group == "checkpoint" else trainer.early_stopping_callback
    assert callback.mode == mode  # type: ignore[union-attr]
    other = {"min": "max", "max": "min"}[mode]
    with pytest.raises(UsageError, match=rf"{group}\.mode: {other} contradicts validation/{metric}, of which"):
        small_trial(tmp_path, **chosen, **{f"{group}__mode": other})


@pytest.mark.parametrize(
    ("model", "task", "known"),
    [("LuongGlobal", "reverse", True), ("LuongGlobal", "sort", False), ("GRU", "reverse", False)],
)
def test_alignments_are_a_metric_where_task_and_architecture_have_them(
    tmp_path: Path, model: str, task: str, known: bool
) -> None:
    options = {"model": model, "data__task": task, "early_stopping__monitor": f"validation/{ALIGNMENT}"}
    if known:
        small_trial(tmp_path, **options)
        return
    with pytest.raises(UsageError, match=r"early_stopping\.monitor: validation/alignment_accuracy is no metric"):
        small_trial(tmp_path, **options)
