"""The gated DeltaNet: a memory of keys and values that corrects what it holds before it writes.

Shapes: B sequences, T steps, D hidden size, N heads, d = D / N the size of keys and values, C steps a chunk.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_models.contract import require
from lit_models.kernels.choice import faster_than
from lit_models.kernels.linear import Linear
from lit_models.layers.linear_recurrent_seq2seq import (
    NORM_EPSILON,
    LinearRecurrentSeq2Seq,
    Recurrence,
    ShortConvolution,
    State,
    draw_step_sizes,
)
from lit_models.layers.scan import scan_matrices

CHUNK = 16  # steps at most


def delta_rule(
    queries: Tensor, keys: Tensor, values: Tensor, strengths: Tensor, log_decays: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """S_t = α_t (I - β_t k_t k_t^T) S_{t-1} + β_t k_t v_t^T and o_t = S_t^T q_t, over all steps at once.

    Within a chunk (Yang et al. 2024; Yang et al. 2025, section 3.2) S_t = γ_t S_0 + sum over i <= t of
    (γ_t / γ_i) k_i u_i^T, where γ_t = α_1 … α_t and the corrections u_i solve a triangular system,
    u_t + β_t sum over i < t of (γ_t / γ_i) (k_t . k_i) u_i = β_t (v_t - γ_t S_0^T k_t). So what a chunk does to the
    state before it is a product and a sum of matrices, S -> M S + Z: from chunk to chunk it is a scan.

    Args:
        queries: (B, N, T, d) q_t.
        keys: (B, N, T, d) k_t, of length 1.
        values: (B, N, T, d) v_t.
        strengths: (B, N, T) β_t; 0 writes nothing.
        log_decays: (B, N, T) log α_t, at most 0; 0 forgets nothing.
        state: (B, N, d, d) S_0, keys by values: the transpose of the papers'.

    Returns:
        (B, N, T, d) o_1 … o_T, and (B, N, d, d) S_T.
    """
    steps = keys.shape[2]
    if steps == 1:
        return _one_step(queries, keys, values, strengths[..., None], log_decays[..., None], state)
    size = min(CHUNK, 1 << (steps - 1).bit_length())  # a power of 2
    q, k, v = (_chunks(part, size) for part in (queries, keys, values))  # (B, N, chunks, C, d)
    beta, log_alpha = (_chunks(part[..., None], size) for part in (strengths, log_decays))  # (B, N, chunks, C, 1)
    later = torch.ones(size, size, dtype=torch.bool, device=k.device).tril()  # t >= i
    # On CUDA torch has no running sum that gives the same bits again.
    log_gamma = log_alpha.cumsum(dim=-2) if k.device.type == "cpu" else later.to(log_alpha.dtype) @ log_alpha
    decay = (log_gamma - log_gamma.mT).masked_fill(~later, -torch.inf).exp()  # γ_t / γ_i
    system = -(beta * decay * (k @ k.mT)).tril(-1)
    solved = solve_one_minus(system, torch.cat([beta * v, beta * log_gamma.exp() * k], dim=-1))
    alone, taken = solved.chunk(2, dim=-1)  # u_t = alone_t - S_0^T taken_t
    at_end = (k * (log_gamma[..., -1:, :] - log_gamma).exp()).mT  # (γ_C / γ_i) k_i: (B, N, chunks, d, C)
    kept = log_gamma[..., -1:, :].exp() * torch.eye(k.shape[-1], dtype=k.dtype, device=k.device)
    ends = scan_matrices(
        (kept - at_end @ taken).flatten(0, 1), (at_end @ alone).flatten(0, 1), state.flatten(0, 1)
    ).unflatten(0, k.shape[:2])  # the state behind each chunk
    before = torch.cat([state[:, :, None], ends[:, :, :-1]], dim=2)
    corrections = alone - taken @ before
    outputs = (q * log_gamma.exp()) @ before + (decay * (q @ k.mT)) @ corrections
    return outputs.flatten(2, 3)[:, :, :steps], ends[:, :, -1]


def _chunks(vectors: Tensor, size: int) -> Tensor:
    """(B, N, T, d) -> (B, N, chunks, C, d), with zeros behind the last step: they neither write nor forget."""
    return F.pad(vectors, (0, 0, 0, -vectors.shape[2] % size)).unflatten(2, (-1, size))


def _one_step(
    query: Tensor, key: Tensor, value: Tensor, strength: Tensor, log_decay: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """As `delta_rule`, for T = 1: what is held of the key is corrected towards the value."""
    state = log_decay.exp() * state  # α_t S_{t-1}
    state = state + key.mT @ (strength * (value - key @ state))
    return query @ state, state


def solve_by_halves(strict: Tensor, right: Tensor) -> Tensor:
    """As `solve_one_minus`, by the inverse of I - L.

    Of [[A, 0], [-L', B]] that is [[A^{-1}, 0], [B^{-1} L' A^{-1}, B^{-1}]]. All blocks of a size are done together, so
    that log2(C) sizes follow each other, and not C rows.
    """
    count = strict.shape[-1]
    blocks = torch.ones_like(strict[..., :1])[..., None]  # (…, C, 1, 1)
    size = 1
    while size < count:
        upper, lower = blocks[..., 0::2, :, :], blocks[..., 1::2, :, :]
        rows = strict.unflatten(-2, (-1, 2 * size)).unflatten(-1, (-1, 2 * size))
        here = torch.arange(count // (2 * size), device=strict.device)
        corner = rows[..., here, size:, here, :size].movedim(0, -3)  # L', in front of which indexing puts the blocks
        if size > 1:  # else both sides are 1
            corner = lower @ corner @ upper
        left = torch.cat([upper, corner], dim=-2)
        blocks = torch.cat([left, F.pad(lower, (0, 0, size, 0))], dim=-1)
        size *= 2
    return blocks.squeeze(-3) @ right


@faster_than(solve_by_halves)
def solve_one_minus(strict: Tensor, right: Tensor) -> Tensor:
    """X of (I - L) X = R.

    Args:
        strict: (…, C, C) L, zero on and above the diagonal; C a power of 2.
        right: (…, C, M) R.

    Returns:
        (…, C, M) X.
    """
    if right.dtype.itemsize < 4:  # torch solves no triangular system in 16 bits
        return solve_one_minus(strict.float(), right.float()).to(right.dtype)
    return torch.linalg.solve_triangular(-strict, right, upper=False, unitriangular=True)


class DeltaNetLayer(Recurrence):
    """The gated delta rule in heads, its keys and values behind a short convolution, its outputs normalised and gated
    (Yang et al. 2025, figure 1).

    Deviation: queries have no convolution of their own, whose last inputs would have to be handed over as well.
    """

    def __init__(
        self, size: int, heads: int, conv_width: int, gated: bool, negative_eigenvalues: bool, is_read: bool
    ) -> None:
        super().__init__()
        self.heads = heads
        self.greatest_strength = 2.0 if negative_eigenvalues else 1.0
        self.key_value = Linear(size, 2 * size, bias=False)
        self.convolution = ShortConvolution(2 * size, conv_width) if conv_width else None
        self.strength = Linear(size, heads, bias=False)
        self.step_size = Linear(size, heads) if gated else None
        if self.step_size is not None:
            draw_step_sizes(self.step_size.bias)
            self.log_rates = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.query = Linear(size, size, bias=False) if is_read else None
        self.output_gate = Linear(size, size, bias=False) if is_read and gated else None
        if is_read:
            self.norm = nn.RMSNorm(size // heads, eps=NORM_EPSILON)
            self.output = Linear(size, size, bias=False)
        self.shapes = [(heads, size // heads, size // heads)] + ([self.convolution.shape] if self.convolution else [])

    def forward(self, inputs: Tensor, state: State, blocked: Tensor | None) -> tuple[Tensor, State]:
        s, *tail = state
        key_value = self.key_value(inputs)
        if self.convolution is not None:
            key_value, tail[0] = self.convolution(key_value, tail[0], blocked)
        keys, values = F.silu(key_value.to(s.dtype)).chunk(2, dim=-1)
        beta = self.greatest_strength * torch.sigmoid(self.strength(inputs).to(s.dtype))  # β_t: (B, T, N)
        log_alpha = torch.zeros_like(beta)
        if self.step_size is not None:
            log_alpha = -self.log_rates.exp() * F.softplus(self.step_size(inputs).to(s.dtype))
        if blocked is not None:
            beta, log_alpha = (part.masked_fill(blocked[:, :, None], 0.0) for part in (beta, log_alpha))
        queries = keys if self.query is None else F.silu(self.query(inputs).to(s.dtype))
        q, k = (F.normalize(self._heads(part), dim=-1) for part in (queries, keys))
        with torch.autocast(s.device.type, enabled=False):
            outputs, s = delta_rule(q, k, self._heads(values), beta.transpose(1, 2), log_alpha.transpose(1, 2), s)
        if self.query is None:
            return inputs, (s, *tail)
        y = self.norm(outputs.transpose(1, 2)).flatten(2)  # (B, T, D)
        if self.output_gate is not None:
            y = y * F.silu(self.output_gate(inputs))
        return self.output(y), (s, *tail)

    def _heads(self, vectors: Tensor) -> Tensor:
        """(B, T, D) -> (B, N, T, d)"""
        return vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class DeltaNet(LinearRecurrentSeq2Seq):
    """The gated DeltaNet (Schlag et al. 2021; Yang et al. 2024, 2025), joined by a fixed context. The state of a head
    is a matrix that holds a value for each key. What it holds of k_t is corrected towards v_t, by a share β_t, after
    all has been forgotten by a share 1 - α_t:

        S_t = α_t (I - β_t k_t k_t^T) S_{t-1} + β_t k_t v_t^T        o_t = S_t^T q_t

    with |k_t| = |q_t| = 1. A block is that of the paper with the feed-forward part of all models here.

    Args:
        num_heads: heads, each with a matrix of its own; hidden_size must be a multiple.
        conv_width: tokens that the short convolution of keys and values sees, itself included; 0 leaves it out.
        gated: forget by α_t and gate the outputs (Yang et al. 2025); without, α_t = 1 (Yang et al. 2024).
        negative_eigenvalues: β_t in (0, 2) in place of (0, 1), so that the eigenvalue 1 - β_t lies in (-1, 1) and a
            token can flip what is held of its key (Grazzi et al. 2024).
        **kwargs: options of the stacks, see LinearRecurrentSeq2Seq, and of training, see LitSeq2Seq.
    """

    def __init__(
        self,
        *,
        num_heads: int = 2,
        conv_width: int = 4,
        gated: bool = True,
        negative_eigenvalues: bool = False,
        **kwargs: Any,
    ) -> None:
        size = self.options["hidden_size"]
        require(num_heads >= 1, "num_heads", num_heads, "must be at least 1")
        require(
            size % num_heads == 0, "hidden_size", size, f"must be a multiple of model.num_heads, which is {num_heads}"
        )
        require(conv_width >= 0, "conv_width", conv_width, "must be at least 0")
        super().__init__(**kwargs)

    def make_recurrence(self, is_read: bool) -> DeltaNetLayer:
        names = ("num_heads", "conv_width", "gated", "negative_eigenvalues")
        heads, width, gated, negative = (self.options[name] for name in names)
        return DeltaNetLayer(self.hidden_size, heads, width, gated, negative, is_read)
