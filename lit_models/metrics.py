"""What is measured on a set of sequences, teacher-forced and free-running.

Counts stay where the model is until all batches have been seen: a GPU is never waited for in between. Hence masks in
place of selections, and no checks of arguments.

Shapes: B sequences, T target positions (EOS included), S source positions, V target vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from data.batch import EOS, PAD, Batch

# Shares of sequences; with greedy_exact_match they add up to 1.
ENDINGS = ("greedy_ended_early", "greedy_ended_late", "greedy_wrong_content")


def end_of(tokens: Tensor) -> Tensor:
    """(B, T) -> (B,) the number of tokens up to the first EOS, it included; T + 1 where there is none."""
    is_end = tokens == EOS
    return torch.where(is_end.any(dim=1), is_end.int().argmax(dim=1) + 1, tokens.shape[1] + 1)


def last_answer(tokens: Tensor, answers: Tensor) -> Tensor:
    """(B, T), (A,) -> (B, T) where the last token of each row stands that is one of the answers."""
    found = (tokens[:, :, None] == answers).any(dim=2)
    return found & (found.flip(1).cumsum(dim=1).flip(1) == 1)


def _scored(tokens: Tensor, words: Tensor, answers: Tensor | None) -> tuple[Tensor, Tensor]:
    """(B, T) tokens and (B, T) target without EOS -> masks of what is right and of what counts.

    All tokens, each at its position; or (A,) answers, of which the last counts wherever it stands: one word too many
    before it makes no other answer of it.
    """
    if answers is None:
        return tokens == words, words != PAD
    asked, given = ((row * last_answer(row, answers)).sum(dim=1) for row in (words, tokens))
    return given == asked, asked != PAD


def _as_wide(tokens: Tensor, target: Tensor) -> Tensor:
    """Tokens cut or padded to the width of the target."""
    width = target.shape[1]
    return F.pad(tokens[:, :width], (0, max(0, width - tokens.shape[1])), value=PAD)


class Share(Metric):
    """How many of those that count are right."""

    right: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("seen", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, right: Tensor, counted: Tensor) -> None:
        """Two masks of one shape."""
        self.right += (right & counted).sum()
        self.seen += counted.sum()

    def compute(self) -> Tensor:
        """()"""
        return self.right / self.seen


class Mean(Metric):
    """A weighted mean. (That of torchmetrics looks for what is no number, and forgets the weights if told not to.)"""

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, values: Tensor, weights: Tensor | None = None) -> None:
        """Two tensors of one shape; without weights all count the same."""
        weights = torch.ones_like(values) if weights is None else weights.to(values.dtype)
        self.total += (values * weights).sum()
        self.weight += weights.sum()

    def compute(self) -> Tensor:
        """()"""
        return self.total / self.weight


def _all_right(tokens: Tensor, target: Tensor) -> Tensor:
    """(B, T), (B, T) -> (B,) whether a row is as the target, whatever stands at its padding."""
    return ((tokens == target) | (target == PAD)).all(dim=1)


class AccuracyByPosition(Metric):
    """Share of right tokens at each target position, over the sequences that reach it."""

    right: Tensor
    seen: Tensor

    def __init__(self, positions: int = 0) -> None:
        super().__init__()
        self.add_state("right", torch.zeros(positions), dist_reduce_fx=None)
        self.add_state("seen", torch.zeros(positions), dist_reduce_fx=None)

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """(B, T) predicted and reference ids; PAD in the reference is not counted."""
        counted = targets != PAD
        right = ((predictions == targets) & counted).sum(dim=0)
        missing = max(0, right.shape[0] - self.right.shape[0])
        self.right = F.pad(self.right, (0, missing))
        self.seen = F.pad(self.seen, (0, missing))
        self.right[: right.shape[0]] += right
        self.seen[: right.shape[0]] += counted.sum(dim=0)

    def compute(self) -> Tensor:
        """(longest T,) accuracy; not a number at positions no target reached."""
        # Under data parallelism the states of all ranks arrive stacked.
        right, seen = (state.reshape(-1, state.shape[-1]).sum(dim=0) for state in (self.right, self.seen))
        return right / seen


class SequenceMetrics(nn.Module):
    """All figures of one test set. docs/results.md defines each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.loss, self.padding = Mean(), Mean()
        self.bits_presented, self.bits_lost = Mean(), Mean()
        self.token_accuracy, self.exact_match = Share(), Share()
        self.greedy_token_accuracy, self.greedy_exact_match = Share(), Share()
        self.greedy_ended_early, self.greedy_ended_late, self.greedy_wrong_content = Share(), Share(), Share()
        self.forced_length_token_accuracy, self.forced_length_exact_match = Share(), Share()
        self.alignment_accuracy = Share()
        self.by_position = AccuracyByPosition()

    def update(
        self,
        batch: Batch,
        logits: Tensor,
        attention: Tensor | None,
        decoded: Tensor | None,
        forced_length: Tensor | None = None,
    ) -> None:
        """Count a batch.

        Args:
            batch: the B sequences.
            logits: (B, T, V) of the teacher-forced pass.
            attention: (B, T, S) or None.
            decoded: (B, T') tokens of the free-running pass, which need not end where the target does; None where
                there was none.
            forced_length: (B, T') tokens of the same pass with the length of each target forced, without EOS; or None.
        """
        target = batch.target_out
        counted = target != PAD
        real = counted.any(dim=1)  # a rank without an example of its own carries an empty row
        words = target.masked_fill(target == EOS, PAD)
        is_word = words != PAD
        forced = logits.argmax(dim=-1)
        losses = F.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="none")
        losses = losses.view_as(target) * counted
        tokens = counted.sum()
        self.padding.update((~counted).float())
        self.loss.update(losses.sum() / tokens.clamp(min=1), tokens)
        is_scored = is_word if batch.answers is None else last_answer(words, batch.answers)
        self.token_accuracy.update(forced == words, is_scored)
        self.exact_match.update(_all_right(forced, target), real)
        if decoded is not None:
            whole, decoded = decoded, _as_wide(decoded, target)
            # The last answer of an output may stand behind the place where the longest target ends.
            shown = decoded if batch.answers is None else whole
            self.greedy_token_accuracy.update(*_scored(shown, words, batch.answers))
            right = _all_right(decoded, target)
            self.greedy_exact_match.update(right, real)
            self.by_position.update(decoded, words)
            ends, expected = end_of(decoded), counted.sum(dim=1)
            self.greedy_ended_early.update(ends < expected, real)
            self.greedy_ended_late.update(ends > expected, real)
            self.greedy_wrong_content.update((ends == expected) & ~right, real)
        if forced_length is not None:
            forced_length = _as_wide(forced_length, target)
            self.forced_length_token_accuracy.update(*_scored(forced_length, words, batch.answers))
            self.forced_length_exact_match.update(_all_right(forced_length, words), real)
        if batch.target_bits is not None:
            self.bits_presented.update(batch.target_bits, real)
            self.bits_lost.update((losses * is_word).sum(dim=1) / math.log(2), real)
        if batch.alignment is not None and attention is not None:
            self.alignment_accuracy.update(attention.argmax(dim=-1) == batch.alignment, batch.alignment >= 0)

    def compute(self) -> dict[str, float]:
        """Every figure there was something to count for, by name."""
        loss = self.loss.compute()
        values = {"loss": loss, "perplexity": loss.exp(), "padding": self.padding.compute()}
        names = ["token_accuracy", "exact_match"]
        if self.by_position.update_called:
            names += ["greedy_token_accuracy", "greedy_exact_match", *ENDINGS]
        for name in names:
            values[name] = getattr(self, name).compute()
        if self.forced_length_token_accuracy.update_called:
            for name in ("forced_length_token_accuracy", "forced_length_exact_match"):
                values[name] = getattr(self, name).compute()
        if self.bits_presented.update_called:
            values["bits_presented"] = self.bits_presented.compute()
            values["bits_recovered"] = values["bits_presented"] - self.bits_lost.compute()
        if self.alignment_accuracy.update_called:
            values["alignment_accuracy"] = self.alignment_accuracy.compute()
        return dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))  # one wait for all

    def reset(self) -> None:
        """Forget everything counted."""
        for metric in self.children():
            metric.reset()  # type: ignore[operator]
