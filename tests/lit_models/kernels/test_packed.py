"""Packed linear layers give what plain ones give, and are plain again afterwards."""

import pytest
import torch
from torch import Tensor, nn

from lit_models.decoding import search as decoding
from lit_models.decoding.search import beam_search, greedy
from lit_models.kernels.packed import packed_linear_layers
from tests.helpers.models import make, random_batch


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3, bias=False))


@pytest.mark.parametrize("shape", [(5,), (1, 5), (4, 5), (2, 3, 5), (0, 5)])
@pytest.mark.parametrize("contiguous", [True, False])
def test_the_outputs_are_those_of_plain_layers(shape: tuple[int, ...], contiguous: bool) -> None:
    model = layers()
    inputs = torch.randn(*shape[:-1], 2 * shape[-1])[..., ::2]
    inputs = inputs.contiguous() if contiguous else inputs
    with torch.inference_mode():
        expected = model(inputs)
        with packed_linear_layers(model, rows=4):
            torch.testing.assert_close(model(inputs), expected)


def test_layers_are_plain_again_afterwards() -> None:
    model = layers()
    with pytest.raises(RuntimeError), torch.inference_mode(), packed_linear_layers(model, rows=4):
        assert all("forward" in vars(layer) for layer in model)
        raise RuntimeError
    assert not any("forward" in vars(layer) for layer in model)
    model(torch.randn(2, 5)).sum().backward()


@pytest.mark.parametrize("reason", ["double precision", "gradients", "autocast"])
def test_elsewhere_layers_stay_as_they_are(reason: str) -> None:
    model = layers().double() if reason == "double precision" else layers()
    inference = torch.inference_mode(reason != "gradients")
    low = torch.autocast("cpu", torch.bfloat16, enabled=reason == "autocast")
    with inference, low, packed_linear_layers(model, rows=4):
        assert "forward" not in vars(model[0])


def test_changed_weights_are_packed_anew() -> None:
    model, inputs = layers(), torch.randn(2, 5)
    for _ in range(2):
        with torch.inference_mode(), packed_linear_layers(model, rows=2):
            packed = model(inputs)
        torch.testing.assert_close(packed, model(inputs).detach())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 1


@pytest.mark.parametrize("decode", [greedy, beam_search])
def test_decoding_packs_the_layers_of_a_step(decode, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = make("Transformer"), random_batch([(5, 4), (7, 7)])
    packed, step = [], model.step

    def watched(token: Tensor, state):
        packed.append("forward" in vars(model.output))
        return step(token, state)

    monkeypatch.setattr(model, "step", watched)
    decode(model, batch.source, batch.source_lengths, 5)
    assert packed
    assert all(packed)
    assert decoding.packed_linear_layers is packed_linear_layers
