"""Models against something that is not themselves: torch.nn with copied weights, and the papers' equations in loops."""

import math
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from data.batch import PAD, Batch
from lit_models import architectures
from lit_models.kernels.choice import plain
from lit_models.layers.positions import SinusoidalPositions
from lit_models.layers.recurrent_seq2seq import RecurrentSeq2Seq
from lit_models.layers.transformer_layers import MultiHeadAttention
from lit_models.layers.word_dropout import drop_words
from lit_models.lit_module import LitSeq2Seq
from lit_models.transformer import Transformer
from tests.helpers.models import VOCAB_SIZE, copy_attention, copy_layer, known, make, random_batch

LENGTHS = [(5, 4), (7, 7), (2, 3)]
SIZE = 8


def target_length(batch: Batch, row: int) -> int:
    return int((batch.target_out[row] != PAD).sum())


# ---------------------------------------------------------------------- recurrent encoders against torch.nn


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(("name", "layer"), [("VanillaRNN", nn.RNN), ("LSTM", nn.LSTM), ("GRU", nn.GRU)])
def test_encoder_equals_torch_on_each_row_alone(name: str, layer: type, num_layers: int, bidirectional: bool) -> None:
    model = make(name, {"num_layers": num_layers, "bidirectional": bidirectional})
    assert isinstance(model, RecurrentSeq2Seq)
    theirs = layer(SIZE, SIZE, num_layers, batch_first=True, bidirectional=bidirectional)
    theirs.load_state_dict(model.encoder.layers.state_dict())
    batch = random_batch(LENGTHS)
    memory = model.encode(batch.source, batch.source_lengths)
    for row, (length, _) in enumerate(LENGTHS):
        outputs, final = theirs(model.source_embedding(batch.source[row : row + 1, :length]))
        torch.testing.assert_close(memory.states[row, :length], outputs[0])
        parts = final if isinstance(final, tuple) else (final,)
        for mine, part in zip(memory.final, parts, strict=True):
            joined = part.reshape(num_layers, -1) if not bidirectional else part.reshape(num_layers, 2 * SIZE)
            torch.testing.assert_close(mine[row], joined)


@pytest.mark.parametrize("name", ["VanillaRNN", "LSTM", "GRU", "Bahdanau", "LuongGlobal", "LuongLocal"])
def test_reversing_the_source_equals_reading_a_reversed_source(name: str) -> None:
    batch = random_batch([(5, 4)])
    plain, reverse = make(name), make(name, {"reverse_source": True})
    reverse.load_state_dict(plain.state_dict())
    mirrored = plain.encode(batch.source.flip(1), batch.source_lengths)
    memory = reverse.encode(batch.source, batch.source_lengths)
    torch.testing.assert_close(memory.final, mirrored.final)
    torch.testing.assert_close(memory.states, mirrored.states.flip(1))


@pytest.mark.parametrize(("name", "cell"), [("VanillaRNN", nn.RNNCell), ("LSTM", nn.LSTMCell), ("GRU", nn.GRUCell)])
def test_fixed_context_decoder_equals_a_loop_over_torch_cells(name: str, cell: type) -> None:
    model, batch = make(name), random_batch([(5, 4), (5, 4)])
    theirs = cell(SIZE, SIZE)
    theirs.load_state_dict({key.removesuffix("_l0"): value for key, value in model.decoder.state_dict().items()})
    final = model.encode(batch.source, batch.source_lengths).final
    state: Any = tuple(part[:, 0] for part in final)
    for position, logits in enumerate(model(batch).logits.unbind(1)):
        inputs = model.target_embedding(batch.target_in[:, position])
        following = theirs(inputs, state if len(state) > 1 else state[0])
        state = following if isinstance(following, tuple) else (following,)
        torch.testing.assert_close(logits, model.readout.output(state[0]))


# ---------------------------------------------------------------------- equations in NumPy


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


class Weights:
    """A model's parameters as float64 arrays, by name."""

    def __init__(self, model: LitSeq2Seq) -> None:
        self.arrays = {key: value.detach().double().numpy() for key, value in model.named_parameters()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def gru(self, prefix: str, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        """torch.nn.GRU's documented equations."""
        from_input = np.split(self[f"{prefix}.weight_ih_l0"] @ x + self[f"{prefix}.bias_ih_l0"], 3)
        from_state = np.split(self[f"{prefix}.weight_hh_l0"] @ h + self[f"{prefix}.bias_hh_l0"], 3)
        reset, update = sigmoid(from_input[0] + from_state[0]), sigmoid(from_input[1] + from_state[1])
        new = np.tanh(from_input[2] + reset * from_state[2])
        return (1 - update) * new + update * h

    def lstm(self, prefix: str, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """torch.nn.LSTM's documented equations."""
        gates = self[f"{prefix}.weight_ih_l0"] @ x + self[f"{prefix}.bias_ih_l0"]
        gates = gates + self[f"{prefix}.weight_hh_l0"] @ h + self[f"{prefix}.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c


@pytest.mark.parametrize("readout_state", ["previous", "current"])
def test_bahdanau_equals_appendix_a_written_out(readout_state: str) -> None:
    model = make("Bahdanau", {"bidirectional": True, "readout_state": readout_state})
    batch = random_batch(LENGTHS)
    weights, output = Weights(model), model(batch)
    memory = model.encode(batch.source, batch.source_lengths)
    for row, (length, _) in enumerate(LENGTHS):
        h = memory.states[row, :length].detach().double().numpy()
        s = np.tanh(weights["first_state.weight"] @ h[0, SIZE:] + weights["first_state.bias"])
        for i in range(target_length(batch, row)):
            y = weights["target_embedding.weight"][int(batch.target_in[row, i])]
            query = weights["score.query.weight"] @ s
            energies = np.array(
                [
                    weights["score.energy.weight"][0]
                    @ np.tanh(query + weights["score.memory.weight"] @ state + weights["score.memory.bias"])
                    for state in h
                ]
            )
            alpha = softmax(energies)
            c = alpha @ h
            following = weights.gru("decoder", np.concatenate([y, c]), s)
            read = np.concatenate([s if readout_state == "previous" else following, y, c])
            t = weights["readout.maxout.weight"] @ read + weights["readout.maxout.bias"]
            maxout = np.array([max(t[2 * j], t[2 * j + 1]) for j in range(SIZE)])
            logits = weights["readout.output.weight"] @ maxout + weights["readout.output.bias"]
            np.testing.assert_allclose(output.attention[row, i, :length].detach(), alpha, atol=1e-5)
            np.testing.assert_allclose(output.logits[row, i].detach(), logits, atol=1e-5)
            s = following


@pytest.mark.parametrize("input_feeding", [False, True])
def test_luong_equals_its_equations_written_out(input_feeding: bool) -> None:
    model, batch = make("LuongGlobal", {"input_feeding": input_feeding}), random_batch(LENGTHS)
    weights, output = Weights(model), model(batch)
    memory = model.encode(batch.source, batch.source_lengths)
    for row, (length, _) in enumerate(LENGTHS):
        states = memory.states[row, :length].detach().double().numpy()
        h, c = (part[row, 0].detach().double().numpy() for part in memory.final)
        fed = np.zeros(SIZE)
        for t in range(target_length(batch, row)):
            x = weights["target_embedding.weight"][int(batch.target_in[row, t])]
            h, c = weights.lstm("decoder", np.concatenate([x, fed]) if input_feeding else x, h, c)
            alpha = softmax(np.array([h @ weights["score.memory.weight"] @ state for state in states]))
            context = alpha @ states
            fed = np.tanh(weights["combine.weight"] @ np.concatenate([context, h]))
            logits = weights["output.weight"] @ fed + weights["output.bias"]
            np.testing.assert_allclose(output.attention[row, t, :length].detach(), alpha, atol=1e-5)
            np.testing.assert_allclose(output.logits[row, t].detach(), logits, atol=1e-5)


def test_cho_decoder_reads_the_context_at_every_step_and_in_the_output_layer() -> None:
    model = make("GRU", {"context": "every-step", "readout": "maxout"})
    batch, weights = random_batch(LENGTHS), Weights(model)
    output = model(batch)
    memory = model.encode(batch.source, batch.source_lengths)
    for row in range(len(LENGTHS)):
        final = memory.final[0][row, -1].detach().double().numpy()
        c = np.tanh(weights["to_context.weight"] @ final + weights["to_context.bias"])
        h = np.tanh(weights["from_context.weight"] @ c + weights["from_context.bias"])
        for t in range(target_length(batch, row)):
            y = weights["target_embedding.weight"][int(batch.target_in[row, t])]
            h = weights.gru("decoder", np.concatenate([y, c]), h)
            pairs = weights["readout.maxout.weight"] @ np.concatenate([h, y, c]) + weights["readout.maxout.bias"]
            logits = weights["readout.output.weight"] @ pairs.reshape(-1, 2).max(axis=1)
            logits = logits + weights["readout.output.bias"]
            np.testing.assert_allclose(output.logits[row, t].detach(), logits, atol=1e-5)


# ---------------------------------------------------------------------- the transformer against torch.nn


def torch_transformer(model: Any, pre_norm: bool) -> tuple[nn.Module, nn.Module]:
    """torch.nn's encoder and decoder with the model's weights."""
    layer_options: dict[str, Any] = {
        "dim_feedforward": 4 * SIZE,
        "dropout": 0.0,
        "batch_first": True,
        "norm_first": pre_norm,
    }
    norms: list[Any] = [nn.LayerNorm(SIZE) if pre_norm else None for _ in range(2)]
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(SIZE, 4, **layer_options), 2, norms[0], enable_nested_tensor=False
    )
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(SIZE, 4, **layer_options), 2, norms[1])
    for mine, theirs in ((model.encoder_layers, encoder.layers), (model.decoder_layers, decoder.layers)):
        for one, other in zip(mine, theirs, strict=True):
            copy_layer(one, other)
    if pre_norm:
        norms[0].load_state_dict(model.encoder_norm.state_dict())
        norms[1].load_state_dict(model.decoder_norm.state_dict())
    return encoder.eval(), decoder.eval()


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_equals_torch(norm: str) -> None:
    model, batch = make("Transformer", {"norm": norm}), random_batch(LENGTHS)
    assert isinstance(model, Transformer)
    encoder, decoder = torch_transformer(model, norm == "pre")

    def embed(table: nn.Embedding, tokens: Tensor) -> Tensor:
        positions = torch.tensor(
            [
                [
                    math.sin(p / 10000 ** (i / SIZE)) if i % 2 == 0 else math.cos(p / 10000 ** ((i - 1) / SIZE))
                    for i in range(SIZE)
                ]
                for p in range(tokens.shape[1])
            ]
        )
        return table(tokens) * math.sqrt(SIZE) + positions

    padding = batch.source == PAD
    width = batch.target_in.shape[1]
    causal = torch.triu(torch.ones(width, width, dtype=torch.bool), diagonal=1)
    memory = encoder(embed(model.source_embedding, batch.source), src_key_padding_mask=padding)
    hidden = decoder(
        embed(model.target_embedding, batch.target_in), memory, tgt_mask=causal, memory_key_padding_mask=padding
    )
    real = batch.target_out != PAD
    torch.testing.assert_close(model(batch).logits[real], model.output(hidden)[real], atol=1e-5, rtol=1e-5)


def test_decoding_encodes_sentences_of_any_order_as_training_does() -> None:
    model = make("Transformer").eval()
    batch = random_batch([(1 + 7 * i % 23, 2) for i in range(40)])
    encoded = model.encode(batch.source, batch.source_lengths)
    with torch.inference_mode():
        in_parts = model.encode(batch.source, batch.source_lengths)
    words = ~encoded.blocked
    torch.testing.assert_close(in_parts.states[words], encoded.states[words])
    assert torch.equal(in_parts.blocked, encoded.blocked)


def test_reported_transformer_attention_equals_torchs() -> None:
    model = make("Transformer").decoder_layers[-1].cross_attention
    theirs = nn.MultiheadAttention(SIZE, 4, batch_first=True)
    copy_attention(model, theirs)
    queries, memory = torch.randn(2, 3, SIZE), torch.randn(2, 5, SIZE)
    blocked = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    output, expected = theirs(queries, memory, memory, key_padding_mask=blocked, average_attn_weights=False)
    attended, weights = model.with_weights(
        model.queries(queries), model.keys_and_values(memory), ~blocked[:, None, None, :]
    )
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(attended, output)


def test_sinusoidal_positions_grow_with_the_sequence() -> None:
    positions = SinusoidalPositions(SIZE)
    expected = math.sin(1000 / 10000 ** (2 / SIZE))
    assert positions(torch.tensor([1000]), 1001)[0, 2].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["GRU", "Bahdanau", "LuongGlobal", "Transformer"])
def test_tied_embeddings_are_one_matrix(name: str) -> None:
    tied, untied = make(name, {"tied_embeddings": True}), make(name)
    output = tied.output if hasattr(tied, "output") else tied.readout.output
    assert output.weight is tied.source_embedding.weight is tied.target_embedding.weight
    # Two matrices of vocabulary x size are gone, and of the transformer's output layer the bias.
    gone = 2 * VOCAB_SIZE * SIZE + (VOCAB_SIZE if name == "Transformer" else 0)
    assert untied.num_params - tied.num_params == gone


def test_an_output_layer_of_another_size_cannot_be_tied() -> None:
    with pytest.raises(ValueError, match="embedding_size: 6 must be 8, the size of the output layer"):
        make("GRU", {"tied_embeddings": True, "embedding_size": 6})


def test_word_dropout_drops_whole_words_and_keeps_their_expectation() -> None:
    torch.manual_seed(0)
    vectors = drop_words(torch.ones(40, 50, SIZE), 0.25, training=True)
    dropped = vectors == 0
    assert torch.equal(dropped.any(dim=-1), dropped.all(dim=-1))
    torch.testing.assert_close(vectors[~dropped], torch.full_like(vectors[~dropped], 1 / 0.75))
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("name", architectures())
def test_words_are_dropped_in_training_only(name: str) -> None:
    options = known(name, {"word_dropout": 0.5})
    if not options:
        pytest.skip("an architecture need not have the option")
    batch = random_batch(LENGTHS)
    model, same = make(name, options), make(name)
    assert torch.equal(model(batch).logits, same(batch).logits)
    assert not torch.equal(model.train()(batch).logits, same.train()(batch).logits)


# ---------------------------------------------------------------------- another toolkit's modules, where installed


@pytest.mark.parametrize(("score", "kind"), [("additive", "mlp"), ("general", "general"), ("dot", "dot")])
def test_attention_equals_opennmts(score: str, kind: str) -> None:
    onmt = pytest.importorskip("onmt.modules.global_attention", reason="needs OpenNMT-py")
    model, batch = make("LuongGlobal", {"score": score}), random_batch(LENGTHS)
    theirs = onmt.GlobalAttention(SIZE, attn_type=kind)
    weights = dict(model.named_parameters())
    theirs.linear_out.weight.data = weights["combine.weight"].detach()
    if kind == "mlp":
        theirs.linear_query.weight.data = weights["score.query.weight"].detach()
        theirs.linear_query.bias.data = weights["score.memory.bias"].detach()
        theirs.linear_context.weight.data = weights["score.memory.weight"].detach()
        theirs.v.weight.data = weights["score.energy.weight"].detach()
        theirs.linear_out.bias.data.zero_()
    elif kind == "general":
        theirs.linear_in.weight.data = weights["score.memory.weight"].detach().T
    memory = model.encode(batch.source, batch.source_lengths)
    queries = torch.randn(len(LENGTHS), 3, SIZE)
    source = model.start(memory).source
    maps = model._maps(source, 1, model.combine)
    mine, attention = model._attentional(queries, torch.zeros(len(LENGTHS), 3), source, maps)
    vectors, expected = theirs(queries, memory.states, batch.source_lengths)
    torch.testing.assert_close(attention, expected)
    torch.testing.assert_close(mine, torch.tanh(vectors) if kind == "mlp" else vectors)


@pytest.mark.parametrize("masked", ["causal", "padded", "nowhere"])
def test_the_explicit_product_of_attention_is_the_fused_one(masked: str) -> None:
    attention = MultiHeadAttention(8, 2).double()
    rows = torch.randn(3, 5, 8, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([5, 2, 4])
    allowed = (torch.arange(5) < lengths[:, None])[:, None, None, :] if masked == "padded" else None
    causal = masked == "causal"
    results = []
    for explicit in (False, True):
        with plain() if explicit else nullcontext():
            mixed = attention(*attention.of_itself(rows), allowed, causal)
        results.append([mixed, *torch.autograd.grad(mixed.square().sum(), [rows, *attention.parameters()])])
    for fused, explicit in zip(*results, strict=True):
        torch.testing.assert_close(explicit, fused, rtol=1e-10, atol=1e-10)


def test_the_transformers_products_in_bfloat16_are_those_in_float32() -> None:
    model, batch = make("Transformer", {"num_layers": 2}), random_batch([(5, 4), (7, 7), (1, 2), (3, 6)])

    def gradient(low_precision: bool) -> torch.Tensor:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            model.loss(model(batch, need_attention=False).logits, batch).backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    fused, explicit = gradient(False), gradient(True)
    assert not torch.equal(fused, explicit)
    assert torch.nn.functional.cosine_similarity(fused, explicit, dim=0) > 0.999
