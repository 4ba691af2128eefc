"""Training from the weights of another trial: what is taken, what stays as it is, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data.datamodule import Seq2SeqDataModule
from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.trial.checkpoints import KEY, read_checkpoint, same_tokens
from tests.helpers.trials import checkpoint_of, run, small_trial

SHORT: dict[str, Any] = {"trainer__max_steps": 2, "data__train_examples": 20, "data__test_examples": 4}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A trial at length 5, to begin from."""
    trial = small_trial(tmp_path_factory.mktemp("runs"), **SHORT)
    run(trial)
    return trial


def weights(trial: Trial) -> dict[str, torch.Tensor]:
    return read_checkpoint(Path(checkpoint_of(trial)))["state_dict"]


def test_a_longer_trial_begins_from_the_weights_of_a_shorter_one(
    first: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = {**SHORT, "data__length": 8, "init_from": checkpoint_of(first), "freeze": "source_embedding.*"}
    trial = small_trial(tmp_path, **begun)
    run(trial)
    before, after = weights(first), weights(trial)
    assert f"--init_from: {len(before)} of {len(before)} weights are those of {checkpoint_of(first)}\n" in (
        capsys.readouterr().err
    )
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {"source_embedding.weight"}
    far = max(float((before[name] - after[name]).abs().max()) for name in before)
    assert far < 0.05  # two steps away


def test_another_vocabulary_leaves_out_what_depends_on_it(
    first: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = small_trial(tmp_path, **{**SHORT, "data__vocabulary": 9, "init_from": checkpoint_of(first)})
    run(trial)
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("--init_from")]
    assert "not taken: source_embedding.weight (12 x 12 there, 13 x 12 here), target_embedding.weight" in line


@pytest.mark.parametrize(
    ("trained_on", "task", "same"),
    [("copy", "sort", True), ("tagging", "tagging", True), ("tagging", "negation", False), ("copy", "tagging", False)],
)
def test_words_of_another_task_are_other_tokens_and_symbols_are_not(trained_on: str, task: str, same: bool) -> None:
    content = {KEY: {"task": trained_on, "text": None}}
    assert same_tokens(content, Seq2SeqDataModule(task, length=6)) == same


def test_the_name_follows_the_content_of_the_checkpoint_and_stays_without_one(first: Trial, tmp_path: Path) -> None:
    plain, begun = small_trial(tmp_path), small_trial(tmp_path, init_from=checkpoint_of(first))
    moved = tmp_path / "moved.ckpt"
    moved.write_bytes(Path(checkpoint_of(first)).read_bytes())
    assert small_trial(tmp_path, init_from="null", freeze="null").name == plain.name
    assert small_trial(tmp_path, init_from=moved).name == begun.name != plain.name
    assert small_trial(tmp_path, freeze="decoder.*").name != plain.name


WIDER = (
    r"no weight of .*best\.ckpt fits; it is of GRU with hidden_size 12, source_vocab_size 12, .* "
    r"and this trial of GRU with hidden_size 16"
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_from": "FIRST", "model.hidden_size": 16}, f"--init_from: {WIDER}"),
        ({"init_from": "nowhere.ckpt"}, r"--init_from: nowhere\.ckpt does not exist"),
        ({"init_from": __file__}, r"--init_from: .* is not a readable checkpoint"),
        (
            {"freeze": "encoders.*"},
            r"--freeze: encoders\.\* matches no parameter of GRU; there are source_embedding\.\*",
        ),
        ({"freeze": "*"}, r"--freeze: \* leaves nothing to train"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    options: dict[str, Any], message: str, first: Trial, tmp_path: Path
) -> None:
    given = {name: checkpoint_of(first) if value == "FIRST" else value for name, value in options.items()}
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        small_trial(tmp_path, **given)
    assert "\n" not in str(caught.value)
