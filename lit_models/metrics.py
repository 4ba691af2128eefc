"""What is measured on a set of sequences, teacher-forced and free-running; by torchmetrics where it has it.

Shapes: B sequences, T target positions (EOS included), S source positions, V target vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassExactMatch

from data.batch import EOS, PAD, Batch

# Shares of sequences; with greedy_exact_match they add up to 1.
ENDINGS = ("greedy_ended_early", "greedy_ended_late", "greedy_wrong_content")


def end_of(tokens: Tensor) -> Tensor:
    """(B, T) -> (B,) the number of tokens up to the first EOS, it included; T + 1 where there is none."""
    is_end = tokens == EOS
    return torch.where(is_end.any(dim=1), is_end.int().argmax(dim=1) + 1, tokens.shape[1] + 1)


def _as_wide(tokens: Tensor, target: Tensor) -> Tensor:
    """Tokens cut or padded to the width of the target."""
    width = target.shape[1]
    return F.pad(tokens[:, :width], (0, max(0, width - tokens.shape[1])), value=PAD)


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

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        accuracy = {"num_classes": vocab_size, "average": "micro", "ignore_index": PAD}
        self.loss = MeanMetric()
        self.token_accuracy = MulticlassAccuracy(**accuracy)
        self.exact_match = MulticlassExactMatch(vocab_size, ignore_index=PAD)
        self.greedy_token_accuracy = MulticlassAccuracy(**accuracy)
        self.greedy_exact_match = MulticlassExactMatch(vocab_size, ignore_index=PAD)
        self.alignment_accuracy = MeanMetric()
        self.bits_presented = MeanMetric()
        self.bits_lost = MeanMetric()
        self.padding = MeanMetric()
        self.by_position = AccuracyByPosition()
        self.greedy_ended_early = MeanMetric()
        self.greedy_ended_late = MeanMetric()
        self.greedy_wrong_content = MeanMetric()
        self.forced_length_token_accuracy = MulticlassAccuracy(**accuracy)
        self.forced_length_exact_match = MulticlassExactMatch(vocab_size, ignore_index=PAD)

    def update(
        self,
        batch: Batch,
        logits: Tensor,
        attention: Tensor | None,
        decoded: Tensor,
        forced_length: Tensor | None = None,
    ) -> None:
        """Count a batch.

        Args:
            batch: the B sequences.
            logits: (B, T, V) of the teacher-forced pass.
            attention: (B, T, S) or None.
            decoded: (B, T') tokens of the free-running pass, which need not end where the target does.
            forced_length: (B, T') tokens of the same pass with the length of each target forced, without EOS; or None.
        """
        target = batch.target_out
        decoded = _as_wide(decoded, target)
        counted = target != PAD
        real = counted.any(dim=1)  # a rank without an example of its own carries an empty row
        words = target.masked_fill(target == EOS, PAD)
        forced = logits.argmax(dim=-1)
        losses = F.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="none")
        losses = losses.view_as(target) * counted
        self.padding.update((~counted).float())
        if not real.any():
            return
        self.loss.update(losses.sum() / counted.sum(), weight=counted.sum())
        self.token_accuracy.update(forced, words)
        self.greedy_token_accuracy.update(decoded, words)
        self.exact_match.update(forced[real], target[real])
        self.greedy_exact_match.update(decoded[real], target[real])
        self.by_position.update(decoded, words)
        ends, expected = end_of(decoded)[real], counted.sum(dim=1)[real]
        right = ((decoded == target) | ~counted).all(dim=1)[real]
        self.greedy_ended_early.update((ends < expected).float())
        self.greedy_ended_late.update((ends > expected).float())
        self.greedy_wrong_content.update(((ends == expected) & ~right).float())
        if forced_length is not None:
            forced_length = _as_wide(forced_length, target)
            self.forced_length_token_accuracy.update(forced_length, words)
            self.forced_length_exact_match.update(forced_length[real], words[real])
        if batch.target_bits is not None:
            self.bits_presented.update(batch.target_bits[real])
            self.bits_lost.update((losses * (words != PAD)).sum(dim=1)[real] / math.log(2))
        if batch.alignment is not None and attention is not None:
            aligned = batch.alignment >= 0
            hit = attention.argmax(dim=-1) == batch.alignment
            self.alignment_accuracy.update(hit[aligned].float())

    def compute(self) -> dict[str, float]:
        """Every figure there was something to count for, by name."""
        loss = self.loss.compute()
        values = {"loss": loss, "perplexity": loss.exp(), "padding": self.padding.compute()}
        for name in ("token_accuracy", "exact_match", "greedy_token_accuracy", "greedy_exact_match", *ENDINGS):
            values[name] = getattr(self, name).compute()
        if self.forced_length_token_accuracy.update_called:
            for name in ("forced_length_token_accuracy", "forced_length_exact_match"):
                values[name] = getattr(self, name).compute()
        if self.bits_presented.update_called:
            values["bits_presented"] = self.bits_presented.compute()
            values["bits_recovered"] = values["bits_presented"] - self.bits_lost.compute()
        if self.alignment_accuracy.update_called:
            values["alignment_accuracy"] = self.alignment_accuracy.compute()
        return {name: float(value) for name, value in values.items()}

    def reset(self) -> None:
        """Forget everything counted."""
        for metric in self.children():
            metric.reset()  # type: ignore[operator]
