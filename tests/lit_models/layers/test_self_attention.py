"""The weights of self-attention, recomputed beside the fused product: they are those by which it sums values."""

from typing import Any

import pytest
import torch
from torch import Tensor

from data.batch import Batch
from lit_models.layers.transformer_layers import MultiHeadAttention
from tests.helpers.models import VARIANTS, label, make, one_row, random_batch

TRANSFORMERS = ("Transformer", "DecoderOnly", "EncoderOnly")
VARIANTS_OF_TRANSFORMERS = [(name, options) for name in TRANSFORMERS for options in VARIANTS[name]]
LENGTHS = [(5, 5), (7, 7), (1, 1)]


def self_attentions(model: Any) -> list[MultiHeadAttention]:
    """Those of all layers, of the encoder first."""
    named = ("layers", "encoder_layers", "decoder_layers")
    return [layer.attention for stack in named for layer in getattr(model, stack, [])]


def fused(model: Any, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """The values (B, N, W, d) that each self-attention is given, and what it makes of them, (B, W, D)."""
    seen: list[tuple[Tensor, Tensor]] = []

    def see(_: Any, given: Any, made: Tensor) -> None:
        seen.append((given[1][1], made))

    hooks = [attention.register_forward_hook(see) for attention in self_attentions(model)]
    model(batch, need_attention=False)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(("name", "options"), VARIANTS_OF_TRANSFORMERS, ids=label)
@torch.no_grad()
def test_weights_times_values_are_what_the_fused_product_gives(name: str, options: dict[str, Any]) -> None:
    model, batch = make(name, options), random_batch([(6, 6), (6, 6)])
    layers = [layer for stack in model.self_attention(batch) for layer in stack.layers]
    expected = fused(model, batch)
    assert len(layers) == len(expected) == len(self_attentions(model))
    for weights, attention, (values, made) in zip(layers, self_attentions(model), expected, strict=True):
        heads = weights @ values
        torch.testing.assert_close(attention.output(heads.transpose(1, 2).flatten(2)), made, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "options"), VARIANTS_OF_TRANSFORMERS, ids=label)
@torch.no_grad()
def test_a_sentence_has_the_same_weights_alone_and_in_a_batch_and_padding_has_none(
    name: str, options: dict[str, Any]
) -> None:
    model, batch = make(name, options), random_batch(LENGTHS)
    together = model.self_attention(batch)
    for row in range(len(LENGTHS)):
        for stack, alone in zip(together, model.self_attention(one_row(batch, row)), strict=True):
            assert (stack.stack, stack.reads, stack.causal) == (alone.stack, alone.reads, alone.causal)
            for weights, expected in zip(stack.layers, alone.layers, strict=True):
                size = expected.shape[-1]
                torch.testing.assert_close(weights[row, :, :size, :size], expected[0], atol=1e-5, rtol=1e-4)
                assert not weights[row, :, :size, size:].any()
                torch.testing.assert_close(expected.sum(dim=-1), torch.ones(expected.shape[:-1]))
                assert not stack.causal or not expected.triu(1).any()


@torch.no_grad()
def test_an_output_of_nothing_but_its_end_looks_at_itself() -> None:
    encoder, decoder = make("Transformer").self_attention(random_batch([(3, 0)]))
    assert [layer.shape for layer in encoder.layers] == [(1, 4, 3, 3)] * 2
    assert [layer.tolist() for layer in decoder.layers] == [[[[[1.0]]] * 4]] * 2


def test_looking_leaves_nothing_in_the_model() -> None:
    for name in TRANSFORMERS:
        model = make(name)
        model.self_attention(random_batch([(3, 3)]))
        assert not any(attention._forward_pre_hooks for attention in self_attentions(model))
