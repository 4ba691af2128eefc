"""Whole trials on a device other than the CPU, through Lightning: trained, validated, tested, stopped and resumed. The
device is pretended, or a card: see tests/helpers/pretend_device.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch.utilities import move_data_to_device

from data.batch import Batch
from experiments.errors import UsageError
from experiments.main import main
from experiments.trial import cuda_graphs
from experiments.trial.checkpoints import load_checkpoint
from experiments.trial.cuda_graphs import replayed_steps
from experiments.trial.environment import device_name
from lit_models import LitSeq2Seq, architectures
from lit_models.contract import is_padded
from lit_models.decoding.search import beam_search
from tests.helpers.models import known, make, sequences
from tests.helpers.pretend_device import ACCELERATOR, IS_REAL, NAME, Seen, card, device
from tests.helpers.pretend_device.graphs import pretend_graphs
from tests.helpers.pretend_device.trainer import pretend_trainer
from tests.helpers.text_files import write_corpus
from tests.helpers.trials import checkpoint_of, history, results, rows_of, run, run_until, small_trial, text_trial

SMALL = {
    "model__hidden_size": 8, "model__num_layers": 1, "data__task": "copy", "data__min_length": 3, "data__length": 4,
    "data__eval_lengths": "[5]", "data__batch_tokens": 40, "data__test_examples": 6, "data__validation_examples": 6,
    "trainer__max_steps": 4, "trainer__val_check_interval": 2, "trainer__log_every_n_steps": 2,
    "trainer__accelerator": ACCELERATOR,
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
    assert run(trial)["device"] == device_name(device())
    here = small_trial(tmp_path / "here", **{**options, "trainer__accelerator": "cpu"})
    assert here.name == trial.name
    run(here)
    for row, expected in zip(rows_of(trial.folder / "results.csv"), rows_of(here.folder / "results.csv"), strict=True):
        assert float(row["value"]) == pytest.approx(float(expected["value"]), rel=1e-3, abs=1e-3), row


@pytest.mark.parametrize("model", ["GRU", pytest.param("Transformer", marks=pytest.mark.slow)])
def test_a_resumed_trial_equals_one_that_was_not_stopped(model: str, tmp_path: Path) -> None:
    """With norms of gradients that the checkpoint has on the CPU, and new ones on the device."""
    options = {**SMALL, "model": model, "model__dropout": 0.1, "model__num_layers": 2, "gradients__every": 3}
    options |= {"data__eval_lengths": None, "data__batch_tokens": 20, "trainer__deterministic": "true"}
    straight, stopped = (small_trial(tmp_path / name, **options) for name in ("straight", "stopped"))
    run(straight)
    run_until(stopped, 3)  # a step behind a checkpoint
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
    assert places == {(NAME, NAME)}
    assert picture.exists()
    capsys.readouterr()


def test_symbols_are_predicted_on_the_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = small_trial(tmp_path, **SMALL, model="GRU")
    run(trial)
    assert main(["predict", "--checkpoint", checkpoint_of(trial)]) == 0
    assert main(["validate", "--checkpoint", checkpoint_of(trial)]) == 0
    assert "greedy_token_accuracy" in capsys.readouterr().out


# ---------------------------------------------------------------------- CUDA graphs


@pytest.fixture(name="graphs")
def _graphs(seen: Seen) -> Iterator[Seen]:
    with card.repeatable() if IS_REAL else pretend_graphs(NAME):
        yield seen


def test_a_trial_of_replayed_steps_that_is_stopped_and_resumed_comes_to_the_same_bits(
    graphs: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Padded batches and full ones, dropout, accumulated gradients and their norms, validations between."""
    options = {**SMALL, "model": "GRU", "model__dropout": 0.2, "model__num_layers": 2, "data__eval_lengths": None}
    options |= {"trainer__deterministic": "true"}
    options |= {"trainer__accumulate_grad_batches": 3, "gradients__every": 2, "trainer__log_every_n_steps": 1}
    plain = small_trial(tmp_path / "plain", **options)
    stopped = small_trial(tmp_path / "stopped", **options, cuda_graphs="true")
    assert stopped.name == plain.name
    run(plain)
    run_until(stopped, 3)  # a step behind a checkpoint
    run(stopped)
    assert "--cuda_graphs: 4 of 6 batches were replayed, in 2 shapes" in capsys.readouterr().err
    assert results(stopped) == results(plain)
    assert history(stopped) == history(plain)
    assert (stopped.folder / "gradients.csv").read_text() == (plain.folder / "gradients.csv").read_text()


QUICK = (("GRU", torch.float32), ("LuongGlobal", torch.bfloat16), ("Transformer", torch.float32))


@pytest.mark.parametrize(
    ("name", "precision", "teacher_forcing"),
    [
        *(
            pytest.param(*case, 1.0, marks=[] if case in QUICK else pytest.mark.slow)
            for case in itertools.product(architectures(), (torch.float32, torch.bfloat16))
        ),
        ("GRU", torch.float32, 0.5),
    ],
)
def test_replayed_steps_give_the_losses_and_weights_of_the_steps_themselves(
    name: str, precision: torch.dtype, teacher_forcing: float, graphs: Seen
) -> None:
    def train(model: LitSeq2Seq) -> list[torch.Tensor]:
        optimizer, losses = model.train().make_optimizer(), []
        for number, shortest in enumerate((3, 4, 3, 6, 4)):  # but for the fourth, batches of one shape
            torch.manual_seed(number)
            with torch.autocast(NAME, precision, enabled=precision != torch.float32, cache_enabled=False):
                loss = model.training_step(move_data_to_device(sequences(shortest), device()), number)
            loss.backward()
            losses.append(loss.detach())  # who keeps the graph of a step keeps its streams
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return [tensor.detach().cpu() for tensor in (*losses, *model.parameters())]

    options = {"num_layers": 1, "dropout": 0.2, "tied_embeddings": True, "score": "additive"}
    options = known(name, {**options, "teacher_forcing": teacher_forcing})
    expected, model = train(make(name, options).to(device())), make(name, options).to(device())
    with replayed_steps(model) as steps:
        torch.testing.assert_close(train(model), expected, rtol=0, atol=0)
    assert (steps.taken, steps.replayed, len(steps.shapes)) == (5, 3, 1)


def test_of_many_shapes_those_that_come_again_first_are_replayed(graphs: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MOST_SHAPES", 1)
    model = make("GRU").to(device()).train()
    batch = move_data_to_device(sequences(), device())
    shorter = Batch(*(field[:3] if isinstance(field, torch.Tensor) and field.dim() else field for field in batch))  # type: ignore
    with replayed_steps(model) as steps:
        for one, replayed in ((batch, 0), (shorter, 0), (shorter, 1), (batch, 1), (shorter, 2)):
            model.training_step(one, 0).backward()
            assert steps.replayed == replayed
    assert "training_step" not in vars(model)


@pytest.mark.skipif(IS_REAL, reason="a card does not count its kernels")
def test_a_replayed_step_starts_few_kernels_and_waits_for_nothing(graphs: Seen) -> None:
    model, batch = make("GRU").to(device()).train(), move_data_to_device(sequences(3), device())
    with replayed_steps(model):
        for _ in range(3):
            model.zero_grad()
            graphs.reset()
            model.training_step(batch, 0).backward()
    assert graphs.operations["replay"] == 2
    assert graphs.kernels <= 15
    assert not graphs.waits


def test_a_model_that_waits_in_its_step_is_refused_in_one_line(graphs: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    def asking(lengths: torch.Tensor, width: int, on_host: object) -> bool:
        return is_padded(lengths, width, None)

    monkeypatch.setattr("lit_models.layers.recurrent_seq2seq.is_padded", asking)
    model, batch = make("GRU").to(device()).train(), move_data_to_device(sequences(3), device())
    refused = r"^--cuda_graphs: a step of GRU cannot be recorded: [^\n]*not permitted[^\n]*; leave the option out$"
    with replayed_steps(model), pytest.raises(UsageError, match=refused):
        for _ in range(2):
            model.training_step(batch, 0).backward()
    assert torch.rand(2, device=device()).shape == (2,)  # random numbers can be drawn on


def test_the_first_fault_of_a_record_is_told_and_not_the_one_of_its_end(
    graphs: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(first: Exception) -> Callable[..., None]:
        def record(*_: object, **__: object) -> None:
            try:
                raise first
            finally:
                raise RuntimeError("operation failed due to a previous error during capture")

        return record

    model, batch = make("GRU").to(device()).train(), move_data_to_device(sequences(3), device())
    for first, expected, told in (
        (RuntimeError("the stream was not joined\nmore"), UsageError, "recorded: the stream was not joined; leave"),
        (torch.OutOfMemoryError("out of memory"), torch.OutOfMemoryError, "^out of memory$"),
    ):
        monkeypatch.setattr("torch.cuda.make_graphed_callables", failing(first))
        with replayed_steps(model), pytest.raises(expected, match=told):
            for _ in range(2):
                model.training_step(batch, 0)
