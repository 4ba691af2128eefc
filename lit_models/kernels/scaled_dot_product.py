"""Scaled dot-product attention: by torch's fused product where that is faster.

Shapes: B sequences, N heads, T queries, S positions, d size of a head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_models.kernels.choice import faster_than
from lit_models.kernels.step_products import product_precision

WHOLE_ON = {"cuda"}  # kinds of devices where a head is padded to the size that the fused product takes


def attention_weights(queries: Tensor, keys: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """softmax(Q K^T / sqrt(d)): (B, N, T, d), (B, N, S, d) -> (B, N, T, S). The masks are as in `attention`."""
    scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
    if causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return torch.softmax(scores, dim=-1)


def plain_attention(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """As `attention`, with the weights there to be seen."""
    return attention_weights(queries, keys, mask, causal) @ values


@faster_than(plain_attention)
def attention(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V (Vaswani et al. 2017, equation 1).

    Args:
        queries: (B, N, T, d)
        keys: (B, N, S, d)
        values: (B, N, S, d)
        mask: (B, 1, 1 or T, S) true at positions that may be looked at, or (1 or B, 1 or N, 1 or T, S) numbers that are
            added to the scores; None for neither.
        causal: whether a query looks at positions up to its own only, where S = T.

    Returns:
        (B, N, T, d)
    """
    if queries.device.type == "cpu" and queries.dtype == torch.bfloat16 and torch.is_grad_enabled():
        # There the fused product takes twice to seven times as long, up to length 400: its backward is slow.
        return plain_attention(queries, keys, values, mask, causal)
    size = queries.shape[-1]
    missing = -size % _whole(queries)
    if missing:
        # Else torch takes several kernels and memory for all T x S scores. Zeros add nothing to a score.
        queries, keys, values = (F.pad(part, (0, missing)) for part in (queries, keys, values))
        fused = F.scaled_dot_product_attention(queries, keys, values, mask, is_causal=causal, scale=size**-0.5)
        return fused[..., :size]
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal)


def _whole(queries: Tensor) -> int:
    """CUDA's fused products want heads of so many numbers, or a multiple: 16 bytes."""
    return 16 // product_precision(queries).itemsize if queries.device.type in WHOLE_ON else 1
