"""Dropout of whole words."""

import torch.nn.functional as F
from torch import Tensor


def drop_words(vectors: Tensor, share: float, training: bool) -> Tensor:
    """Drop whole embeddings (B, …, E), the rest scaled to keep the expectation (Sennrich & Zhang 2019)."""
    if share == 0 or not training:
        return vectors
    return vectors * F.dropout(vectors.new_ones(*vectors.shape[:-1], 1), share)
