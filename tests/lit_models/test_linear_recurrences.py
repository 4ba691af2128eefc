"""Linear recurrences against the papers' equations, written as loops over the steps of one row."""

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor

from data.batch import BOS
from lit_models.delta_net import delta_rule
from lit_models.kernels.choice import plain
from lit_models.layers.linear_recurrent_seq2seq import LinearRecurrentSeq2Seq
from tests.helpers.models import make, random_batch

LENGTHS = [(5, 4), (7, 7), (2, 3)]
Parts = dict[str, np.ndarray]
Layer = Callable[[Parts, list[np.ndarray]], tuple[list[np.ndarray] | None, list[np.ndarray]]]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def silu(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(x)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * torch.special.ndtr(torch.from_numpy(x)).numpy()


def normalised(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """RMSNorm, with the epsilon of single precision in double precision too."""
    return weight * x / np.sqrt((x**2).mean() + np.finfo(np.float32).eps)


def affine(weights: Parts, name: str, x: np.ndarray) -> np.ndarray:
    return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0)


def convolved(weights: Parts, name: str, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """y_t = sum over k of w_k * x_{t-k} + b, where nothing stands before the first input."""
    w, b = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return [
        b + sum(w[k] * inputs[t - k] for k in range(len(w)) if t >= k)  # type: ignore[misc]
        for t in range(len(inputs))
    ]


def below(weights: Parts, prefix: str) -> Parts:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def check(model: LinearRecurrentSeq2Seq, layer: Callable) -> None:
    """The model's logits are those of blocks in which `layer` is the recurrence.

    `layer` goes over source and target of a row in one piece, whose first positions the encoder's weights read and the
    others the decoder's: it is given both, with the inputs of each.
    """
    model, batch = model.double(), random_batch(LENGTHS)
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    logits = model(batch).logits.detach().numpy()
    for row, (source, target) in enumerate(LENGTHS):
        ids = (batch.source[row, :source], batch.target_in[row, : target + 1])
        tables = ("source_embedding.weight", "target_embedding.weight")
        sides = [[weights[table][i] for i in chosen.tolist()] for table, chosen in zip(tables, ids, strict=True)]
        for number in range(model.num_layers):
            parts = [below(weights, f"{side}.{number}.") for side in ("encoder", "decoder")]
            inputs = [
                [normalised(x, part["recurrence_norm.weight"]) for x in side]
                for part, side in zip(parts, sides, strict=True)
            ]
            outputs = layer([below(part, "recurrence.") for part in parts], inputs)
            for side, mixed, part in zip(sides, outputs, parts, strict=True):
                for t, x in enumerate(mixed):
                    side[t] = side[t] + x
                    if "feed_forward_norm.weight" in part:
                        inner = gelu(
                            affine(part, "feed_forward.0", normalised(side[t], part["feed_forward_norm.weight"]))
                        )
                        side[t] = side[t] + affine(part, "feed_forward.2", inner)
        for t, x in enumerate(sides[1]):
            expected = affine(weights, "output", normalised(x, weights["output_norm.weight"]))
            np.testing.assert_allclose(logits[row, t], expected, rtol=0, atol=1e-10)
    assert batch.target_in[0, 0] == BOS


def convolved_sides(parts: list[Parts], name: str, sides: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """The convolution's state is handed over as well: the first targets are told of the last sources. So the inputs of
    both sides are convolved as one, with the weights of each."""
    both = sides[0] + sides[1]
    encoder, decoder = (convolved(part, name, both) for part in parts)
    return [encoder[: len(sides[0])], decoder[len(sides[0]) :]]


@pytest.mark.parametrize("options", [{}, {"conv_width": 0, "num_layers": 1}, {"candidate": "positive"}], ids=str)
def test_min_gru_is_its_equations(options: dict) -> None:
    def layer(parts: list[Parts], sides: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        if options.get("conv_width") != 0:
            sides = convolved_sides(parts, "convolution", sides)
        h, outputs = np.zeros(8), []
        for part, inputs in zip(parts, sides, strict=True):
            outputs.append([])
            for x in inputs:
                z, candidate = sigmoid(affine(part, "gate", x)), affine(part, "candidate", x)
                if options.get("candidate") == "positive":
                    candidate = np.where(candidate >= 0, candidate + 0.5, sigmoid(candidate))
                h = (1 - z) * h + z * candidate
                outputs[-1].append(h)
        return outputs

    check(make("MinGRU", options), layer)


@pytest.mark.parametrize("options", [{"state_size": 3}, {"num_layers": 1, "conv_width": 1}], ids=str)
def test_the_selective_ssm_is_its_equations(options: dict) -> None:
    def layer(parts: list[Parts], sides: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        states = options.get("state_size", 16)
        # Each side has an input projection of its own; what the convolution hands over are projected inputs.
        projected = [[affine(part, "input", x) for x in side] for part, side in zip(parts, sides, strict=True)]
        convolved_inputs = convolved_sides(parts, "convolution", [[x[:16] for x in side] for side in projected])
        h, outputs = np.zeros((16, states)), []
        for part, inputs, full in zip(parts, convolved_inputs, projected, strict=True):
            outputs.append([])
            for x, both in zip(map(silu, inputs), full, strict=True):
                low_rank, write, *read = np.split(affine(part, "selection", x), [1, 1 + states, 1 + 2 * states])
                step = np.log1p(np.exp(affine(part, "step_size", low_rank)))
                a = -np.exp(part["log_rates"].T)  # (channels, states)
                h = np.exp(step[:, None] * a) * h + step[:, None] * write[None] * x[:, None]
                if "skip" in part:
                    y = h @ read[0] + part["skip"] * x
                    outputs[-1].append(affine(part, "output", y * silu(both[16:])))
                else:
                    outputs[-1].append(np.zeros(8))
        return outputs

    check(make("SelectiveSSM", options), layer)


@pytest.mark.parametrize(
    "options", [{}, {"conv_width": 0, "gated": False, "negative_eigenvalues": True, "num_layers": 1}], ids=str
)
def test_delta_net_is_its_equations(options: dict) -> None:
    gated, most = options.get("gated", True), 2 if options.get("negative_eigenvalues") else 1

    def layer(parts: list[Parts], sides: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
        projected = [[affine(part, "key_value", x) for x in side] for part, side in zip(parts, sides, strict=True)]
        if options.get("conv_width") != 0:
            projected = convolved_sides(parts, "convolution", projected)
        s, outputs = np.zeros((2, 4, 4)), []  # of each head, values by keys as in the papers
        for part, inputs, written in zip(parts, sides, projected, strict=True):
            outputs.append([])
            for x, key_value in zip(inputs, map(silu, written), strict=True):
                heads = []
                for head in range(2):
                    mine = slice(4 * head, 4 * head + 4)
                    k, v = key_value[:8][mine], key_value[8:][mine]
                    k = k / np.linalg.norm(k)
                    beta = most * sigmoid(affine(part, "strength", x)[head])
                    alpha = 1.0
                    if gated:
                        step = np.log1p(np.exp(affine(part, "step_size", x)[head]))
                        alpha = np.exp(-np.exp(part["log_rates"][head]) * step)
                    s[head] = alpha * s[head] @ (np.eye(4) - beta * np.outer(k, k)) + beta * np.outer(v, k)
                    if "query.weight" in part:
                        q = silu(affine(part, "query", x))[mine]
                        heads.append(normalised(s[head] @ q / np.linalg.norm(q), part["norm.weight"]))
                if not heads:
                    outputs[-1].append(np.zeros(8))
                    continue
                y = np.concatenate(heads)
                if gated:
                    y = y * silu(affine(part, "output_gate", x))
                outputs[-1].append(affine(part, "output", y))
        return outputs

    check(make("DeltaNet", options), layer)


def one_after_the_other(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_alpha: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """S_t = α_t (I - β_t k_t k_t^T) S_{t-1} + β_t k_t v_t^T and o_t = S_t^T q_t in a loop, keys by values."""
    outputs = []
    for t in range(k.shape[2]):
        key, value = k[:, :, t, :, None], v[:, :, t, None]
        alpha, strength = log_alpha[:, :, t, None, None].exp(), beta[:, :, t, None, None]
        state = alpha * (state - strength * key @ (key.mT @ state)) + strength * key @ value
        outputs.append((state.mT @ q[:, :, t, :, None]).squeeze(-1))
    return torch.stack(outputs, dim=2), state


@pytest.mark.parametrize("steps", [1, 2, 3, 16, 17, 32, 100])
@pytest.mark.parametrize("form", [nullcontext, plain])
def test_chunks_of_the_delta_rule_are_its_recurrence(form: Callable, steps: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    q, k, v = (torch.randn(2, 3, steps, 4, generator=generator).double() for _ in range(3))
    strength, log_alpha = torch.rand(2, 2, 3, steps, generator=generator).double()
    given = [
        q,
        torch.nn.functional.normalize(k, dim=-1),
        v,
        2 * strength,
        -9 * log_alpha**9,
        torch.ones(2, 3, 4, 4).double(),
    ]
    given = [tensor.requires_grad_() for tensor in given]
    results = []
    for rule in (delta_rule, one_after_the_other):
        with form():
            outputs, last = rule(*given)
        gradients = torch.autograd.grad(outputs.square().sum() + last.square().sum(), given)
        results.append([outputs, last, *gradients])
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)


def test_the_delta_rule_lasts_in_single_precision_with_equal_keys_that_flip_the_state() -> None:
    k = torch.ones(1, 1, 4096, 4) / 2
    v = torch.randn(1, 1, 4096, 4, generator=torch.Generator().manual_seed(0))
    beta, log_alpha = torch.full((1, 1, 4096), 1.99), torch.zeros(1, 1, 4096)
    given = (k, k, v, beta, log_alpha, torch.zeros(1, 1, 4, 4))
    outputs, _ = delta_rule(*given)
    expected, _ = one_after_the_other(*(tensor.double() for tensor in given))
    torch.testing.assert_close(outputs.double(), expected, rtol=0, atol=1e-3 * float(expected.abs().max()))
