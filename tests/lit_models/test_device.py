"""Every architecture on a device other than the CPU: nothing lies on the wrong one, hardly anything waits, and no step
asks the device for more than it needs to. The device is pretended, or a card: see tests/helpers/pretend_device.
"""

import copy
import inspect
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from data.batch import PAD, Batch
from lit_models import LitSeq2Seq, architectures
from lit_models.decoding.decoder import Decoding, decode
from lit_models.decoding.search import LOOK_EVERY_ELSEWHERE, beam_search, greedy, sample
from lit_models.probes import gradient_flow
from lit_models.probes.gradient_flow import embedding_gradients, jacobian_norms
from tests.helpers.models import every_model, known, label, make, sequences
from tests.helpers.pretend_device import IS_REAL, NAME, OnDevice, Seen, device, pretend_device, recurrent_dtypes

LIMIT = 18

# Operations of a training step on 8 sequences of 6 tokens, all full and some padded, on a device and on a CPU. Whoever
# adds one, on purpose, adds it here; whoever saves one takes it off. The heads are so small that a device pads them.
KERNELS = {
    "Bahdanau": (258, 276),
    "DecoderOnly": (119, 132),
    "DeltaNet": (1340, 1358),
    "EncoderOnly": (121, 136),
    "GRU": (34, 41),
    "LSTM": (36, 54),
    "LuongGlobal": (58, 81),
    "LuongLocal": (93, 116),
    "MinGRU": (585, 603),
    "SelectiveSSM": (675, 693),
    "Transformer": (243, 249),
    "VanillaRNN": (34, 41),
}
ON_CPU = {
    "Bahdanau": (406, 420),
    "DecoderOnly": (107, 120),
    "DeltaNet": (1284, 1302),
    "EncoderOnly": (109, 124),
    "GRU": (179, 184),
    "LSTM": (45, 61),
    "LuongGlobal": (68, 88),
    "LuongLocal": (103, 123),
    "MinGRU": (519, 537),
    "SelectiveSSM": (954, 972),
    "Transformer": (199, 205),
    "VanillaRNN": (109, 114),
}
NO_BOUND = (1e9, 1e9)
OF_TRAINING = {"teacher_forcing": 0.5, "label_smoothing": 0.1, "word_dropout": 0.1}


class OnCPU(TorchDispatchMode):
    """Counts operations on a CPU as the pretended device counts its kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.operations[func._schema.name.partition("::")[2]] += 1
        return func(*args, **(kwargs or {}))


def moved(batch: Batch) -> Batch:
    return move_data_to_device(batch, device())


def train(model: LitSeq2Seq, batch: Batch, seen: Seen | None = None) -> list[Tensor]:
    """Gradients of the second of two training steps, the one that is seen; the first makes the optimiser's state."""
    optimizer = model.train().make_optimizer()
    gradients: list[Tensor] = []
    for _ in range(2):
        if seen is not None:
            seen.reset()
        model.training_step(batch, 0).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        optimizer.step()
        optimizer.zero_grad()
    return gradients


def on_host(gradients: list[Tensor]) -> list[Tensor]:
    return [gradient.cpu() for gradient in gradients]


@pytest.mark.parametrize("name", architectures())
def test_a_training_step_never_waits_and_asks_for_no_more_than_it_did(name: str) -> None:
    bounds = zip(KERNELS.get(name, NO_BOUND), ON_CPU.get(name, NO_BOUND), strict=True)
    for batch, (most, most_on_cpu) in zip((sequences(), sequences(3)), bounds, strict=True):
        with OnCPU() as here:
            expected = train(make(name), batch, here.seen)
        with pretend_device() as seen:
            trained = train(make(name).to(device()), moved(batch), seen)
            waits, kernels = seen.waits.copy(), seen.kernels
            trained = on_host(trained)
        torch.testing.assert_close(trained, expected, rtol=1e-4, atol=1e-4)
        told = "on_host" in inspect.signature(make(name).encode).parameters
        assert sum(waits.values()) == 0 if told else sum(waits.values()) <= 1  # how long the sources are
        assert kernels <= most
        assert here.seen.kernels <= most_on_cpu


@pytest.mark.parametrize(
    ("name", "options"), [*every_model(), *((name, OF_TRAINING) for name in architectures())], ids=label
)
def test_every_option_keeps_to_the_device(name: str, options: dict[str, Any], seen: Seen) -> None:
    """A step that never waits, attention, and greedy outputs."""
    batch = sequences(5, 12)
    here = make(name, known(name, options))
    there, on_device = copy.deepcopy(here).to(device()), moved(batch)
    losses, attentions, outputs = [], [], []
    for model, given in ((there, on_device), (here, batch)):
        seen.reset()
        torch.manual_seed(0)  # of positions that are drawn
        loss = model.train().training_step(given, 0)
        loss.backward()
        assert not seen.waits
        with torch.no_grad():
            attention = model.eval()(given, need_attention=True).attention
            outputs.append(greedy(model, given.source, given.source_lengths, 4).cpu())
        losses.append(loss.item())
        attentions.append(attention.cpu() if attention is not None else None)
    if not (IS_REAL and (options is OF_TRAINING or options.get("positions") == "randomised")):  # a card draws others
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    torch.testing.assert_close(*attentions, rtol=1e-3, atol=1e-5)
    assert torch.equal(*outputs)


@pytest.mark.parametrize("name", architectures())
def test_decoding_looks_at_what_has_ended_every_so_many_tokens_and_finds_the_same(name: str) -> None:
    here, batch = make(name, known(name, {"num_layers": 1})), sequences(3)
    limits = torch.tensor([LIMIT, 3, 1, 5, LIMIT, 7, 17, 2])
    looks = -(-LIMIT // LOOK_EVERY_ELSEWHERE)
    with pretend_device() as seen:
        there, on_device = copy.deepcopy(here).to(device()), moved(batch)
        for decoder in (
            lambda model, batch, most: greedy(model, batch.source, batch.source_lengths, most),
            lambda model, batch, most: (
                beam_search(
                    model, batch.source, batch.source_lengths, most, beam_size=3, n_best=2, length_penalty=0.6
                ).tokens
            ),
        ):
            found = decoder(here, batch, limits)
            most = limits.to(device())
            seen.reset()
            tokens = decoder(there, on_device, most)
            assert sum(seen.waits.values()) <= looks + 2  # how long sources and limits are
            assert torch.equal(tokens.cpu(), found)
        seen.reset()
        drawn = sample(there, on_device.source, on_device.source_lengths, most, samples=2).tokens
        assert sum(seen.waits.values()) <= looks + 2
        assert ((drawn.cpu() != PAD).sum(dim=2) <= limits[:, None]).all()


def test_a_sample_that_has_ended_is_not_scored_on(seen: Seen) -> None:
    """Its log-probability is that of its own tokens, though the device computes on until somebody looks."""
    model, batch = make("GRU").to(device()), moved(sequences(3))
    tokens, scores, _ = sample(model, batch.source, batch.source_lengths, LIMIT, samples=1)
    target = tokens[:, 0]
    target_in = torch.cat([batch.target_in[:, :1], target[:, :-1]], dim=1)
    steps = model(Batch(batch.source, batch.source_lengths, target_in, target)).logits.log_softmax(dim=-1)
    own = steps.gather(2, target[:, :, None]).squeeze(2).masked_fill(target == PAD, 0.0).sum(dim=1)
    torch.testing.assert_close(scores[:, 0].cpu(), own.detach().cpu(), rtol=1e-4, atol=1e-4)


@pytest.fixture(name="seen")
def _seen() -> Any:
    with pretend_device() as seen:
        yield seen


@pytest.mark.parametrize(
    ("decoding", "length_forced"),
    [
        (Decoding(method="greedy"), True),
        (Decoding(beam_size=4, length_penalty=0.0), True),
        (Decoding(beam_size=2, length_penalty=2.0), False),
        (Decoding(method="sample", temperature=0.5, top_k=3), False),
        (Decoding(method="sample", top_k=5, top_p=0.7), False),
        (Decoding(method="mbr", samples=4, utility="bleu"), False),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["LuongLocal", "Transformer", "DeltaNet"])
def test_every_decoder_runs_on_the_device_and_finds_what_it_finds_on_the_cpu(
    name: str, decoding: Decoding, length_forced: bool, seen: Seen
) -> None:
    here, batch, found = make(name), sequences(3), []
    n_best = 1 if decoding.method == "greedy" else 2
    for model, given in ((copy.deepcopy(here).to(device()), moved(batch)), (here, batch)):
        generator, limits = decoding.generator(model.device), given.source_lengths + 2
        inputs = (model, given.source, given.source_lengths, limits, decoding, generator, n_best, str, length_forced)
        best = decode(*inputs)
        assert best.tokens.device.type == best.scores.device.type == model.device.type
        assert ((best.tokens.cpu() != PAD).sum(dim=2) <= (batch.source_lengths + 2)[:, None]).all()
        found.append((best.tokens.cpu(), best.scores.cpu()))
    if decoding.method in ("greedy", "beam"):  # each device has its own order of draws
        torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_a_large_vocabulary_is_searched_on_the_device(seen: Seen) -> None:
    here, batch = make("GRU", {"target_vocab_size": 500}), sequences(3)
    there, given = copy.deepcopy(here).to(device()), moved(batch)
    for size in (1, 3):
        found = [
            beam_search(model, rows.source, rows.source_lengths, 6, beam_size=size).tokens.cpu()
            for model, rows in ((there, given), (here, batch))
        ]
        assert torch.equal(*found)


def test_minimum_bayes_risk_and_gradient_flow_run_on_a_device(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    if not IS_REAL:  # a card draws other vectors to begin with, which few iterations show
        monkeypatch.setattr(gradient_flow, "ITERATIONS", 3)
    model, batch = make("LSTM").to(device()), moved(sequences(3))
    decoding = Decoding(method="mbr", samples=3)
    generator = decoding.generator(model.device)
    limits = batch.source_lengths + 2
    best = decode(model, batch.source, batch.source_lengths, limits, decoding, generator, 2, str)
    assert best.tokens.device == device()
    here = make("LSTM")
    there = embedding_gradients(model, batch)
    torch.testing.assert_close(there.cpu(), embedding_gradients(here, sequences(3)), rtol=1e-3, atol=1e-6)
    seen.has_float64 = True
    there = jacobian_norms(model, batch, [1, 2])
    assert there is not None
    torch.testing.assert_close(there.cpu(), jacobian_norms(here, sequences(3), [1, 2]), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", architectures())
def test_a_validation_batch_waits_at_most_four_times(name: str, seen: Seen) -> None:
    model, batch = make(name, known(name, {"num_layers": 1})).to(device()), moved(sequences(3))
    model.on_validation_epoch_start()
    seen.reset()
    with torch.no_grad():
        model.validation_step(batch, 0)
    assert sum(seen.waits.values()) <= 4
    values = model.validation_metrics.compute()
    here = make(name, known(name, {"num_layers": 1}))
    here.on_validation_epoch_start()
    with torch.no_grad():
        here.validation_step(sequences(3), 0)
    assert values == pytest.approx(here.validation_metrics.compute(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("VanillaRNN", {}),
        ("LSTM", {"num_layers": 2, "bidirectional": True, "dropout": 0.1}),
        ("GRU", {"num_layers": 2}),
        ("Bahdanau", {}),
        ("LuongLocal", {"input_feeding": True}),
    ],
)
def test_bfloat16_is_bfloat16_in_recurrent_layers_too(name: str, options: dict[str, Any], seen: Seen) -> None:
    model, batch = make(name, options).to(device()).train(), moved(sequences(3))
    with torch.autocast(NAME, torch.bfloat16):
        loss = model.training_step(batch, 0)
    loss.backward()
    loss = loss.detach()
    assert recurrent_dtypes() == {torch.bfloat16}
    assert loss.item() == pytest.approx(make(name, options).training_step(sequences(3), 0).item(), rel=0.1)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_layers_called_one_by_one_are_those_of_one_call(name: str, bidirectional: bool, seen: Seen) -> None:
    """Dropout between layers is torch's own on a device: a function of the seed, and no wait when that is set."""
    options = {"num_layers": 3, "bidirectional": bidirectional}
    model, here = make(name, options).to(device()), make(name, options)
    for layers in (model.encoder.layers, model.decoder):
        layers.dropout = 1e-9  # drops nothing, in practice
    gradients = train(model, moved(sequences(3)))
    torch.testing.assert_close(on_host(gradients), train(here, sequences(3)), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(IS_REAL, reason="CUDA is the device")
def test_the_device_refuses_what_cuda_refuses(seen: Seen) -> None:
    there, here = torch.ones(3, device=device()), torch.ones(3)
    with pytest.raises(RuntimeError, match="same device"):
        torch.add(there, here)
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    assert isinstance(there * 2.0, OnDevice)
    assert bool((there == 1).all())
    assert [place.partition(" at ")[0] for place in seen.waits] == ["_local_scalar_dense"]
    assert "tests/lit_models/test_device.py" in next(iter(seen.waits))
