"""Tasks on sentences that nobody has labelled: a part is hidden, and the sentence itself says what is right.

What stands for a hidden part is the reserved token of an unknown word, ⁇. So a vocabulary has as many tokens before
fine-tuning as after, and whoever reads `She did ⁇ win` reads what it says.

Shapes: N sentences, S tokens of the longest, W random words of 64 bits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from data.batch import BOS, FIRST_TOKEN, PAD, UNK, Batch, OnHost
from data.batching import ExampleStore
from data.symbol_tasks import GOLDEN, mix, uniform
from data.tasks import SPLITS, Examples

MASKED, DROPPED = 15, 30  # percent of the tokens
SPAN = 3  # tokens, the mean of a dropped span


class Hidden(NamedTuple):
    """What is left of sentences. Attributes: (N, S') token ids, PAD behind the end; (N,) lengths; (N, S) true at the
    tokens of the sentence that the loss counts, None where it counts all, EOS too."""

    source: np.ndarray
    lengths: np.ndarray
    asked: np.ndarray | None


Hide = Callable[[np.ndarray, np.ndarray, np.ndarray, int], Hidden]


def mask(sentences: np.ndarray, lengths: np.ndarray, words: np.ndarray, vocabulary: int) -> Hidden:
    """Masked language modelling (BERT, Devlin et al. 2019, section 3.1).

    15% of the tokens are asked for, one at least: 80% of these are replaced by ⁇, 10% by any token of the vocabulary,
    10% stay.

    Args:
        sentences: (N, S) token ids, PAD behind the end.
        lengths: (N,)
        words: (N, W) random words, W >= 3 S.
        vocabulary: number of token ids, reserved ones included.
    """
    size = sentences.shape[1]
    chosen, lot, other = _streams(words, size)
    asked = _some(chosen, _inside(lengths, size), percent(lengths, MASKED))
    lot, other = uniform(lot, 10), FIRST_TOKEN + uniform(other, vocabulary - FIRST_TOKEN)
    replaced = np.where(lot < 8, UNK, np.where(lot == 8, other, sentences))
    return Hidden(np.where(asked, replaced, sentences), lengths, asked)


def drop_spans(sentences: np.ndarray, lengths: np.ndarray, words: np.ndarray, vocabulary: int) -> Hidden:
    """Text infilling (BART, Lewis et al. 2020, section 2.2): 30% of the tokens are dropped, in spans of three in the
    mean, one ⁇ stands for each span, and the whole sentence is asked for.

    Deviations: the number of dropped tokens is exact, and spans are cut as T5 cuts them (Raffel et al. 2020, section
    3.1.4: all ways of cutting are equally likely); none is empty, and no two of them touch.

    The arguments are those of `mask`.
    """
    size, column = sentences.shape[1], np.arange(sentences.shape[1])[None, :]
    cuts, gaps, _ = _streams(words, size)
    dropped = percent(lengths, DROPPED)
    spans = np.minimum(np.maximum(1, (2 * dropped + SPAN) // (2 * SPAN)), lengths - dropped + 1)
    # The first token of each span, among the dropped ones; and how many tokens that are kept stand before each span.
    first = _some(cuts, (column > 0) & (column < dropped[:, None]), spans - 1)
    first[:, 0] = True
    places = _some(gaps, _inside(lengths - dropped + 1, size), spans)
    before = np.sort(np.where(places, column, size), axis=1)
    position = column + np.take_along_axis(before, first.cumsum(axis=1) - 1, axis=1)  # of each dropped token
    row, token = np.nonzero(_inside(dropped, size))
    gone, begins = np.zeros((2, *sentences.shape), dtype=bool)
    gone[row, position[row, token]] = True
    begins[row, position[row, token]] = first[row, token]
    kept = _inside(lengths, size) & (~gone | begins)
    order = np.argsort(~kept, axis=1, kind="stable")
    left = np.take_along_axis(np.where(begins, UNK, sentences), order, axis=1)
    remaining = kept.sum(axis=1)
    return Hidden(np.where(_inside(remaining, size), left, PAD)[:, : remaining.max()], remaining, None)


def hide_all(sentences: np.ndarray, lengths: np.ndarray, words: np.ndarray, vocabulary: int) -> Hidden:
    """Language modelling (GPT, Radford et al. 2018, section 3.1): each token from those before it. The source is one
    token that says nothing, BOS.

    The arguments are those of `mask`.
    """
    return Hidden(np.full((len(sentences), 1), BOS), np.ones_like(lengths), None)


@dataclass(frozen=True)
class Pretraining:
    """What is hidden, and how many tokens are asked for: as many as the source has (each), or another number."""

    hide: Hide
    outputs: Literal["each", "other"]


PRETRAINING = {
    "masked": Pretraining(mask, "each"),
    "next-token": Pretraining(hide_all, "other"),
    "denoise": Pretraining(drop_spans, "other"),
}


class SentenceStore(ExampleStore):
    """Sentences of which a part is hidden, anew in every pass of training. There is no free-running decoding.

    What is hidden follows from seed, split, pass and the number of the sentence alone, whatever batch it is in.

    Args:
        sentences: each as its own source and target.
        task: of `PRETRAINING`.
        vocabulary: number of token ids.
        seed: what is drawn from.
        split: train, validation or test.
    """

    def __init__(self, sentences: Examples, task: str, vocabulary: int, seed: int, split: str) -> None:
        super().__init__(sentences)
        self.task, self.vocabulary = task, vocabulary
        self.key = mix(np.array([seed], dtype=np.uint64) * GOLDEN + np.uint64(SPLITS.index(split) + 1))

    def counted(self, rows: np.ndarray) -> int:
        if self.task != "masked":
            return super().counted(rows)
        return int(percent(self.source_lengths[torch.from_numpy(rows)].numpy(), MASKED).sum())

    def batch(
        self, rows: np.ndarray, rank: int = 0, ranks: int = 1, loss_tokens: float | None = None, number: int = 0
    ) -> Batch:
        whole = super().batch(rows, rank, ranks, loss_tokens)
        assert whole.examples is not None
        sentences, lengths = whole.source.numpy(), whole.source_lengths.numpy()
        keys = mix(mix(self.key + np.uint64(number)) + whole.examples.numpy().astype(np.uint64) * GOLDEN)
        steps = np.arange(1, 3 * sentences.shape[1] + 1, dtype=np.uint64) * GOLDEN
        hide = PRETRAINING[self.task].hide
        hidden = hide(sentences, lengths, mix(keys[:, None] + steps), self.vocabulary)
        source_lengths, target_out = torch.from_numpy(hidden.lengths), whole.target_out
        if hidden.asked is not None:
            target_out = torch.full_like(whole.target_out, PAD)
            asked = torch.from_numpy(hidden.asked)[:, : target_out.shape[1]]
            target_out[:, : asked.shape[1]][asked] = whole.target_out[:, : asked.shape[1]][asked]
        padded = bool((source_lengths < hidden.source.shape[1]).any())
        longest = int((source_lengths + (whole.target_in != PAD).sum(dim=1)).max())
        return whole._replace(
            source=torch.from_numpy(hidden.source),
            source_lengths=source_lengths,
            target_out=target_out,
            on_host=OnHost(padded, longest, decoded=False),
        )


def percent(lengths: np.ndarray, share: int) -> np.ndarray:
    """(N,) so many percent of each length, rounded, one at least."""
    return np.maximum(1, (share * lengths + 50) // 100)


def _streams(words: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Three times (N, size) random words; those of a token are the same in a batch of any width."""
    return tuple(words[:, number : 3 * size : 3] for number in range(3))


def _inside(lengths: np.ndarray, size: int) -> np.ndarray:
    """(N, size) true at the first tokens of each row."""
    return np.arange(size)[None, :] < lengths[:, None]


def _some(words: np.ndarray, among: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(N, S) true at (N,) counts of the places among which is chosen, all choices being equally likely."""
    order = np.argsort(np.where(among, words >> np.uint64(1), np.uint64(2**63)), axis=1, kind="stable")
    return np.argsort(order, axis=1, kind="stable") < counts[:, None]
