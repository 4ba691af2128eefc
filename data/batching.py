"""From examples to batches: bucketed by length under a token budget, the same for any number of ranks.

One plan is made for all ranks and every rank takes its rows of each batch, so that an example is seen exactly
once whatever the number of processes, and a run on two of them equals a run on one.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from data.batch import BOS, EOS, PAD, Batch, Lengths, OnHost, decode_limits
from data.tasks import Examples

# Batches whose rows are sorted by length together: many enough to waste little padding, few enough to keep
# each batch a random sample.
POOL_BATCHES = 50
ENDLESS = 2**40


class ExampleStore:
    """All examples of a split as tensors, from which a batch is a row selection.

    Args:
        examples: the sequences.
        known_length: whether the length of a target follows from its source, as in the synthetic tasks. Where it
            does not, a decoder may produce up to twice the source and 20 tokens.
        answers: token ids of which the last in each target is scored; none where all tokens are.
        multiple: of which the widths of a batch are multiples. Longer rows are padded, so that batches have few shapes.
    """

    def __init__(
        self, examples: Examples, known_length: bool = True, answers: Sequence[int] = (), multiple: int = 1
    ) -> None:
        self.multiple = multiple
        self.source = torch.from_numpy(examples.source)
        self.source_lengths = torch.from_numpy(examples.source_lengths)
        self.target_in, self.target_out = _with_boundaries(examples)
        self.target_lengths = torch.from_numpy(examples.target_lengths) + 1  # EOS counts
        self.alignment = None
        if examples.alignment is not None:
            self.alignment = torch.full(self.target_out.shape, -1)
            self.alignment[:, : examples.alignment.shape[1]] = torch.from_numpy(examples.alignment)
        self.target_bits = None
        if examples.target_bits is not None:
            self.target_bits = torch.from_numpy(examples.target_bits).float()
        self.decode_limits = None if known_length else decode_limits(self.source_lengths)
        self.answers = torch.tensor(answers) if answers else None
        for name in ("source", "target_in", "target_out", "alignment"):
            tokens = getattr(self, name)
            if tokens is not None and tokens.shape[1] % multiple:
                missing = -tokens.shape[1] % multiple
                setattr(self, name, F.pad(tokens, (0, missing), value=-1 if name == "alignment" else PAD))

    def __len__(self) -> int:
        return len(self.source)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) positions a row takes in a batch: the longer of source and target."""
        return padded(torch.maximum(self.source_lengths, self.target_lengths), self.multiple).numpy()

    def counted(self, rows: np.ndarray) -> int:
        """How many target tokens of some examples the loss counts."""
        return int(self.target_lengths[torch.from_numpy(rows)].sum())

    def batch(
        self, rows: np.ndarray, rank: int = 0, ranks: int = 1, loss_tokens: float | None = None, number: int = 0
    ) -> Batch:
        """The rank's share of the given rows, trimmed to the longest sequences of all of them, or the next multiple.

        Args:
            rows: (N,) numbers of examples.
            rank: of this process.
            ranks: how many processes share the rows.
            loss_tokens: what the summed loss is divided by, over all ranks; None for the target tokens of the rows.
            number: of the pass over the examples, for examples that are drawn anew in each.
        """
        index = torch.from_numpy(rows)
        source_width = padded(int(self.source_lengths[index].max()), self.multiple)
        target_width = padded(int(self.target_lengths[index].max()), self.multiple)
        tokens = torch.tensor(float(self.counted(rows)) if loss_tokens is None else loss_tokens)
        rank_rows = index[rank::ranks]
        idle = len(rank_rows) == 0  # fewer rows than ranks: a row without target keeps this rank in step
        if idle:
            rank_rows = index[:1]
        target_out = self.target_out[rank_rows, :target_width]
        source_lengths = self.source_lengths[rank_rows]
        longest = padded(int((source_lengths + self.target_lengths[rank_rows]).max()), self.multiple)
        return Batch(
            source=self.source[rank_rows, :source_width],
            source_lengths=source_lengths,
            target_in=self.target_in[rank_rows, :target_width],
            target_out=torch.full_like(target_out, PAD) if idle else target_out,
            loss_tokens=tokens / ranks,
            alignment=None if self.alignment is None else self.alignment[rank_rows, :target_width],
            target_bits=None if self.target_bits is None else self.target_bits[rank_rows] * (not idle),
            examples=rank_rows,
            decode_limits=None if self.decode_limits is None else self.decode_limits[rank_rows],
            answers=self.answers,
            on_host=OnHost(bool((source_lengths < source_width).any()), longest),
        )


def padded(tokens: Lengths, multiple: int) -> Lengths:
    """Positions that so many tokens take where widths are multiples."""
    return -(-tokens // multiple) * multiple


def _with_boundaries(examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, T+1) target with leading BOS, and (N, T+1) target with EOS right behind its last token."""
    target = torch.from_numpy(examples.target)
    edge = torch.full((len(target), 1), PAD)
    target_in = torch.cat([edge + (BOS - PAD), target], dim=1)
    target_out = torch.cat([target, edge], dim=1)
    target_out[torch.arange(len(target)), torch.from_numpy(examples.target_lengths)] = EOS
    return target_in, target_out


def random_order(count: int, *key: int) -> np.ndarray:
    """(count,) a permutation that is a pure function of the two key integers, the same everywhere."""
    words = np.random.Philox(key=np.array(key, dtype=np.uint64)).random_raw(count)
    return np.argsort(words, kind="stable")


def plan_batches(
    lengths: np.ndarray, order: np.ndarray, batch_tokens: int, batch_size: int | None = None
) -> list[np.ndarray]:
    """Cut examples into batches of similar length whose padded size stays within the budget.

    Args:
        lengths: (N,) positions each example takes.
        order: (N,) the order in which examples are pooled; within a pool they are sorted by length.
        batch_tokens: most positions of a batch, rows times longest row.
        batch_size: most rows of a batch, or None for no such limit.

    Returns:
        Row indices of each batch; together they hold every example once.

    Raises:
        ValueError: an example is longer than the whole budget.
    """
    if lengths.max() > batch_tokens:
        raise ValueError(
            f"data.batch_tokens: {batch_tokens} cannot hold the longest sequence of {lengths.max()} tokens"
        )
    typical_rows = max(1, int(batch_tokens / lengths.mean()))
    pool = POOL_BATCHES * min(typical_rows, batch_size or typical_rows)
    batches = []
    for begin in range(0, len(order), pool):
        rows = order[begin : begin + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches.extend(_batches_of_pool(rows, lengths[rows], batch_tokens, batch_size))
    return batches


def _batches_of_pool(
    rows: np.ndarray, lengths: np.ndarray, batch_tokens: int, batch_size: int | None
) -> Iterator[np.ndarray]:
    """Cut the rows of a pool, in ascending length, into batches as large as the budget allows."""
    begin = 0
    while begin < len(rows):
        most = min(batch_tokens // lengths[begin], batch_size or len(rows))
        window = lengths[begin : begin + most]
        fits = int((np.arange(1, len(window) + 1) * window <= batch_tokens).sum())
        yield rows[begin : begin + fits]
        begin += fits


class TrainingStream:
    """Batches of the training split without end, reshuffled in every pass over the examples.

    Training here is counted in optimiser steps, so that architectures get equal budgets. One endless epoch also
    makes resuming exact: the position in the stream is a single number, which Lightning keeps in each checkpoint
    through `state_dict` and hands back through `load_state_dict`.

    Where gradients are accumulated, each batch of a step has the mean number of target tokens of all its batches as
    its `loss_tokens`: the step then takes the loss a token over all of them, as over one large batch.
    """

    def __init__(
        self,
        store: ExampleStore,
        batch_tokens: int,
        batch_size: int | None,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        accumulated: int = 1,
    ) -> None:
        self.store = store
        self.batch_tokens = batch_tokens
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.ranks = ranks
        self.accumulated = accumulated  # batches a step; a checkpoint falls between two steps
        self.lengths = store.lengths
        self.passes = 0
        self.batches_of_pass = 0

    def __len__(self) -> int:
        """A length lets Lightning fetch no batch ahead of the one it trains on, which keeps the position exact."""
        return ENDLESS

    def __iter__(self) -> Iterator[Batch]:
        planned = self._planned(self.passes, self.batches_of_pass)
        while True:
            step = list(itertools.islice(planned, self.accumulated))
            tokens = [self.store.counted(rows) for _, _, rows in step]
            for self.passes, self.batches_of_pass, rows in step:
                yield self.store.batch(rows, self.rank, self.ranks, sum(tokens) / len(tokens), self.passes)

    def _planned(self, passes: int, batches: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """The rows of every further batch, each with the position behind it."""
        while True:
            for number, rows in enumerate(self.plan(passes)[batches:], start=batches + 1):
                yield passes, number, rows
            passes, batches = passes + 1, 0

    def plan(self, number: int) -> list[np.ndarray]:
        """The batches of one pass over the examples, in the order in which they are trained on."""
        order = random_order(len(self.store), self.seed, 2 * number)
        batches = plan_batches(self.lengths, order, self.batch_tokens, self.batch_size)
        return [batches[i] for i in random_order(len(batches), self.seed, 2 * number + 1)]

    def state_dict(self) -> dict[str, Any]:
        return {"passes": self.passes, "batches_of_pass": self.batches_of_pass}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.passes = state["passes"]
        self.batches_of_pass = state["batches_of_pass"]


class EvaluationBatches:
    """Every example of a split once, in a fixed order."""

    def __init__(
        self,
        store: ExampleStore,
        batch_tokens: int,
        batch_size: int | None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.store = store
        self.batches = plan_batches(store.lengths, np.arange(len(store)), batch_tokens, batch_size)
        self.rank = rank
        self.ranks = ranks

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self.batches:
            yield self.store.batch(rows, self.rank, self.ranks)
