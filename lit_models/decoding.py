"""Free-running decoding, written once against the contract of `LitSeq2Seq`."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from data.batch import BOS, EOS, PAD

if TYPE_CHECKING:
    from lit_models.base import LitSeq2Seq


@torch.no_grad()
def greedy(model: "LitSeq2Seq", source: Tensor, source_lengths: Tensor, max_length: int) -> Tensor:
    """The most probable token at every step, given the tokens chosen before.

    Sequences that have produced EOS leave the computation.

    Args:
        source: (B, S) token ids.
        source_lengths: (B,)
        max_length: most target tokens, EOS included.

    Returns:
        (B, max_length) token ids with EOS, PAD behind it; no EOS where max_length came first.
    """
    tokens = source.new_full((len(source), max_length), PAD)
    rows = torch.arange(len(source), device=source.device)
    token = source.new_full((len(source),), BOS)
    state = model.start(model.encode(source, source_lengths))
    for position in range(max_length):
        logits, state, _ = model.step(token, state)
        logits = logits.clone()
        logits[:, [PAD, BOS]] = -torch.inf  # no target ever holds these
        token = logits.argmax(dim=-1)
        tokens[rows, position] = token
        unfinished = (token != EOS).nonzero().squeeze(1)
        if len(unfinished) == 0:
            break
        if len(unfinished) < len(token):
            rows, token = rows[unfinished], token[unfinished]
            state = model.select_rows(state, unfinished)
    return tokens
