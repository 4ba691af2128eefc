"""Whole trials on a device other than the CPU, through Lightning: trained, validated, tested, stopped and resumed. The
device is pretended, see tests/helpers/pretend_device.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from experiments.main import main
from experiments.trial.checkpoints import load_checkpoint
from lit_models import LitSeq2Seq, architectures
from lit_models.decoding.search import beam_search
from tests.helpers.pretend_device import Seen, device
from tests.helpers.pretend_device.trainer import pretend_trainer
from tests.helpers.text_files import write_corpus
from tests.helpers.trials import checkpoint_of, history, results, rows_of, run, run_until, small_trial, text_trial

SMALL = {
    "model__hidden_size": 8, "model__num_layers": 1, "data__task": "copy", "data__min_length": 3, "data__length": 4,
    "data__eval_lengths": "[5]", "data__batch_tokens": 40, "data__test_examples": 6, "data__validation_examples": 6,
    "trainer__max_steps": 4, "trainer__val_check_interval": 2, "trainer__log_every_n_steps": 2,
    "trainer__accelerator": "pretend",
}  # fmt: skip


@pytest.fixture(autouse=True, name="seen")
def _seen() -> Iterator[Seen]:
    with pretend_trainer() as seen:
        yield seen


# One of each kind of layers; the others differ in these alone, which tests/lit_models/test_device.py has.
FIRST = ("GRU", "Bahdanau", "Transformer")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FIRST else pytest.mark.slow) for name in architectures()]
)
def test_a_trial_runs_on_the_device_and_comes_to_what_it_comes_to_on_the_cpu(name: str, tmp_path: Path) -> None:
    options = {**SMALL, "model": name, "model__dropout": 0.0}
    trial = small_trial(tmp_path, **options)
    assert run(trial)["device"] == "pretend"
    here = small_trial(tmp_path / "here", **{**options, "trainer__accelerator": "cpu"})
    assert here.name == trial.name
    run(here)
    for row, expected in zip(rows_of(trial.folder / "results.csv"), rows_of(here.folder / "results.csv"), strict=True):
        assert float(row["value"]) == pytest.approx(float(expected["value"]), rel=1e-3, abs=1e-3), row


@pytest.mark.parametrize("model", ["GRU", pytest.param("Transformer", marks=pytest.mark.slow)])
def test_a_resumed_trial_equals_one_that_was_not_stopped(model: str, tmp_path: Path) -> None:
    """With norms of gradients that the checkpoint has on the CPU, and new ones on the device."""
    options = {**SMALL, "model": model, "model__dropout": 0.1, "model__num_layers": 2, "gradients__every": 3}
    options |= {"data__eval_lengths": None, "data__batch_tokens": 20}
    straight, stopped = (small_trial(tmp_path / name, **options) for name in ("straight", "stopped"))
    run(straight)
    run_until(stopped, 2)
    run(stopped)
    assert results(stopped) == results(straight)
    assert history(stopped) == history(straight)
    assert (stopped.folder / "gradients.csv").read_text() == (straight.folder / "gradients.csv").read_text()


@pytest.mark.slow
def test_training_waits_only_where_it_writes_and_validates(seen: Seen, tmp_path: Path) -> None:
    def waits(steps: int) -> int:
        changes = {"trainer__max_steps": steps, "trainer__val_check_interval": 20, "trainer__log_every_n_steps": 20}
        seen.reset()
        run(small_trial(tmp_path / str(steps), **{**SMALL, **changes, "model": "LSTM"}))
        return sum(seen.waits.values())

    assert waits(12) == waits(6)


def test_text_is_decoded_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = set()

    def beam(model: LitSeq2Seq, source: torch.Tensor, *args: object, **options: object) -> object:
        places.add((source.device.type, model.device.type))
        return beam_search(model, source, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("lit_models.decoding.decoder.beam_search", beam)
    short = write_corpus(tmp_path / "short", train=40, held_out=3, most_clauses=1)
    corpus = {**SMALL, **{name.replace(".", "__"): value for name, value in short.items()}}
    corpus |= {"data__length": 60, "data__min_length": None, "data__eval_lengths": None, "data__vocabulary": 60}
    options = {name: value for name, value in corpus.items() if value is not None}
    options |= {"data__batch_tokens": 200}
    trial = text_trial(tmp_path, model="Bahdanau", **options)
    run(trial)
    checkpoint, text = checkpoint_of(trial), "the red house"
    assert load_checkpoint(Path(checkpoint)).model.device.type == "cpu"
    picture = tmp_path / "attention.png"
    for command in (
        ["test", "--checkpoint", checkpoint],
        ["predict", "--checkpoint", checkpoint],
        ["translate", text, "--checkpoint", checkpoint, "--device", str(device()), "--attention", str(picture)],
    ):
        assert main(command) == 0
    assert places == {("pretend", "pretend")}
    assert picture.exists()
    capsys.readouterr()


def test_symbols_are_predicted_on_the_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = small_trial(tmp_path, **SMALL, model="GRU")
    run(trial)
    assert main(["predict", "--checkpoint", checkpoint_of(trial)]) == 0
    assert main(["validate", "--checkpoint", checkpoint_of(trial)]) == 0
    assert "greedy_token_accuracy" in capsys.readouterr().out
