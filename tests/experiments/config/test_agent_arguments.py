"""A W&B agent writes a trial's command line in its own way; it means the same trial."""

from pathlib import Path

import pytest
import yaml

from experiments.config.parser import parse_trial
from experiments.config.trial import resolve_trial
from experiments.errors import UsageError
from experiments.verbs.sweep import make_trials
from tests.helpers.trials import arguments, small_trial


def test_options_mean_the_same_in_any_order(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("model: {class_path: LSTM, init_args: {hidden_size: 16}}\ndata: {length: 9, vocabulary: 8}\n")
    options = ["--model.hidden_size=8", "--model=GRU", f"--config={config}", "--data.length=5"]
    rotated = [options[first:] + options[:first] for first in range(len(options))]
    orders = [*rotated, *(order[::-1] for order in rotated)]  # each before and behind each other one
    trials = [resolve_trial([*order, f"--runs={tmp_path}"]) for order in orders]
    assert {trial.name for trial in trials} == {trials[0].name}
    assert trials[0].labels == {"arch": "GRU", "task": "reverse", "train_length": 5, "seed": 0}
    assert trials[0].config["model"]["init_args"]["hidden_size"] == 8


@pytest.mark.parametrize(
    ("plain", "by_agent"),
    [
        ({"model__hidden_size": 256}, {"model__hidden_size": "256.0"}),
        ({"seed_everything": 3}, {"seed_everything": "3.0"}),
        ({"data__length": 5}, {"data__length": "5.0"}),
        ({"model__embedding_size": "null"}, {"model__embedding_size": "None"}),
        (
            {"model__hidden_size": None, "parameter_budget": 5000},
            {"model__hidden_size": None, "parameter_budget": "5000.0"},
        ),
        ({"model__bidirectional": "true"}, {"model__bidirectional": "True"}),
        ({"model__learning_rate": 0.00001}, {"model__learning_rate": "1e-05"}),
    ],
)
def test_values_mean_the_same_however_they_are_spelt(tmp_path: Path, plain: dict, by_agent: dict) -> None:
    assert small_trial(tmp_path, **by_agent).name == small_trial(tmp_path, **plain).name


@pytest.mark.parametrize(
    "nested",
    [
        {"data": {"length": 4.0, "batch_size": None, "min_length": 2}, "seed_everything": 1},
        {"model": {"hidden_size": 16.0, "bidirectional": True, "dropout": 0.0, "embedding_size": None}},
        {"trainer": {"max_steps": 10, "gradient_clip_val": None, "precision": "32-true"}},
    ],
)
def test_nested_parameters_mean_the_same_here_and_from_an_agent(tmp_path: Path, nested: dict) -> None:
    """An agent writes f"--{name}={value}" of a Python dictionary."""
    parameters = {
        name: {"parameters": {key: {"value": setting} for key, setting in value.items()}}
        if isinstance(value, dict) else {"value": value}
        for name, value in nested.items()
    }  # fmt: skip
    command = ["lengthwise", "fit", *arguments(tmp_path), "${args}"]
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({"method": "grid", "command": command, "parameters": parameters}))
    [here], _, _ = make_trials(path, tmp_path, None, 0)
    by_agent = [f"--{name}={value}" for name, value in nested.items()]
    assert resolve_trial([*arguments(tmp_path), *by_agent]).config == here.config


def test_a_share_stays_a_share_and_a_fraction_a_fraction() -> None:
    _, parsed = parse_trial(["--trainer.limit_val_batches=1.0", "--model.dropout=0.0", "--model", "GRU"])
    assert isinstance(parsed.trainer.limit_val_batches, float) and isinstance(parsed.model.dropout, float)
    with pytest.raises(UsageError, match=r"^--model.hidden_size: 8.5 is not an integer$"):
        parse_trial(["--model.hidden_size=8.5", "--model", "GRU"])
