"""Transformers of a single stack against torch's layers, and what they alone do: one sequence, all outputs at once."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data.batch import BOS, EOS
from tests.helpers.models import copy_layer, make, random_batch

SIZE = 8
LENGTHS = [(5, 4), (7, 7), (1, 2)]


def torch_stack(model: Any, words: Tensor, causal: bool) -> Tensor:
    """(W, D) words, scaled and with sinusoidal positions, through torch's layers and the model's output layer."""
    layers = [
        nn.TransformerEncoderLayer(
            SIZE, 4, 4 * SIZE, dropout=0.0, batch_first=True, norm_first=model.options["norm"] == "pre"
        ).eval()
        for _ in model.layers
    ]
    order = torch.arange(len(words))
    angles = [order / 10000 ** (2 * pair / SIZE) for pair in range(SIZE // 2)]
    positions = torch.stack([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=-1)
    hidden = (words * math.sqrt(SIZE) + positions)[None]
    for mine, theirs in zip(model.layers, layers, strict=True):
        copy_layer(mine, theirs)
        hidden = theirs(hidden, src_mask=order[None] > order[:, None] if causal else None)
    return model.output(model.norm(hidden))[0]


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_decoder_only_model_is_torchs_stack_over_source_separator_and_target(norm: str) -> None:
    model, batch = make("DecoderOnly", {"norm": norm}), random_batch(LENGTHS)
    logits = model(batch).logits
    for row, (source, target) in enumerate(LENGTHS):
        tokens = [*batch.source[row, :source].tolist(), BOS, *batch.target_out[row, :target].tolist()]
        expected = torch_stack(model, model.source_embedding(torch.tensor(tokens)), causal=True)
        torch.testing.assert_close(logits[row, : target + 1], expected[source:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_an_encoder_only_model_is_torchs_stack_over_source_and_end(norm: str) -> None:
    model, batch = make("EncoderOnly", {"norm": norm}), random_batch([(5, 5), (7, 7), (2, 2)])
    logits = model(batch).logits
    for row, source in enumerate((5, 7, 2)):
        tokens = [*batch.source[row, :source].tolist(), EOS]
        expected = torch_stack(model, model.source_embedding(torch.tensor(tokens)), causal=False)
        torch.testing.assert_close(logits[row, : source + 1], expected, atol=1e-5, rtol=1e-5)


def test_a_decoder_only_model_shares_its_table_between_vocabularies_of_one_size() -> None:
    one, two = make("DecoderOnly"), make("DecoderOnly", {"target_vocab_size": 14})
    assert one.target_embedding is one.source_embedding
    assert two.target_embedding.num_embeddings == two.output.out_features == 14
    assert two(random_batch(LENGTHS)).logits.shape[-1] == 14


def test_what_a_decoder_only_model_reports_is_its_share_of_attention_among_source_tokens() -> None:
    model, batch = make("DecoderOnly", {"num_layers": 1}), random_batch([(5, 4)])
    [layer] = model.layers
    tokens = torch.cat([batch.source, batch.target_in], dim=1)
    hidden = model.place(model.embed(model.source_embedding, tokens), torch.arange(10), 10)
    x = layer.attention_sublayer.before(hidden)
    queries, keys = (part.unflatten(-1, (4, 2)).transpose(1, 2) for part in (
        layer.attention.query(x), layer.attention.key_value(x)[..., :SIZE]))  # fmt: skip
    scores = (queries @ keys.mT / math.sqrt(2)).masked_fill(torch.ones(10, 10).triu(1).bool(), -math.inf)
    to_source = scores.softmax(dim=-1)[:, :, 5:, :5]
    expected = (to_source / to_source.sum(dim=-1, keepdim=True)).mean(dim=1)
    torch.testing.assert_close(model(batch).attention, expected)


def test_an_encoder_only_model_reads_nothing_of_the_target_and_ends_behind_its_source() -> None:
    model, batch = make("EncoderOnly"), random_batch([(3, 6), (6, 6)])
    logits = model(batch).logits
    assert torch.equal(model(batch._replace(target_in=batch.target_in.flip(0, 1))).logits, logits)
    assert torch.equal(logits[0, 3:], logits[0, 3:4].expand(4, -1))  # from the end token on
    assert not torch.equal(logits[0, 2], logits[0, 3])
