"""LitSeq2Seq: loss, optimiser, metrics and the hooks of Lightning, which all architectures share.

Shapes: B sequences, T target positions (EOS included), V target vocabulary.
"""

import math
from collections.abc import Callable
from inspect import signature
from typing import Any, Literal, cast

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from data.batch import PAD, Batch, decode_limits
from lit_models.contract import Output, Seq2Seq, require
from lit_models.decoding.search import greedy
from lit_models.kernels.loss import smoothed_cross_entropy
from lit_models.metrics import SequenceMetrics, end_of

Schedule = Literal["constant", "linear", "cosine", "inverse-sqrt"]


def embedding_files(option: list[str | None] | str | None) -> list[str | None]:
    """The files of word vectors for source and target, which the option `embeddings` names."""
    return [option] * 2 if isinstance(option, str | None) else option


class LitSeq2Seq(Seq2Seq, pl.LightningModule):
    """A sequence-to-sequence model that trains, validates, tests and decodes.

    An architecture is a subclass that supplies what `Seq2Seq` leaves open. Its options are keyword arguments; those
    below are passed on with **kwargs. Its width is the option `hidden_size`.

    Args:
        source_vocab_size: number of source token ids.
        target_vocab_size: number of target token ids.
        learning_rate: peak learning rate of AdamW (Loshchilov & Hutter 2019); Adam where weight_decay is 0.
        betas: the decay rates of its two moments.
        weight_decay: decoupled weight decay.
        warmup_steps: steps over which the learning rate rises linearly to its peak.
        schedule: the learning rate afterwards: constant, linear or cosine down to 0 at the last step, or
            inverse-sqrt (Vaswani et al. 2017, equation 3).
        label_smoothing: probability mass spread over the vocabulary in the training loss (Szegedy et al. 2016).
        teacher_forcing: probability with which a decoder step reads the reference token; below 1 the rest read
            the model's own greedy choice (scheduled sampling, Bengio et al. 2015), step by step.
        embeddings: a file of word vectors that the embeddings begin with, or two, of source and target, either of which
            may be null; docs/word_vectors.md. The trial reads them, since a model knows of no words.

    Raises:
        ValueError: an option out of range; the message names it.
    """

    def __init__(
        self,
        *,
        source_vocab_size: int,
        target_vocab_size: int,
        learning_rate: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.0,
        warmup_steps: int = 100,
        schedule: Schedule = "cosine",
        label_smoothing: float = 0.0,
        teacher_forcing: float = 1.0,
        embeddings: list[str | None] | str | None = None,
    ) -> None:
        super().__init__(source_vocab_size=source_vocab_size, target_vocab_size=target_vocab_size)
        require(learning_rate > 0, "learning_rate", learning_rate, "must be above 0")
        require(warmup_steps >= 0, "warmup_steps", warmup_steps, "must be at least 0")
        require(0 <= label_smoothing < 1, "label_smoothing", label_smoothing, "must lie in [0, 1)")
        require(0 <= teacher_forcing <= 1, "teacher_forcing", teacher_forcing, "must lie in [0, 1]")
        require(weight_decay >= 0, "weight_decay", weight_decay, "must be at least 0")
        files = embedding_files(embeddings)
        require(len(files) == 2, "embeddings", embeddings, "must be one file, or two, of source and target")
        self.learning_rate = learning_rate
        self.betas = betas
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.schedule: Schedule = schedule
        self.label_smoothing = label_smoothing
        self.teacher_forcing = teacher_forcing
        self.test_metrics = nn.ModuleList()
        self.test_results: list[tuple[dict[str, float], list[float]]] = []

    # ------------------------------------------------------------------ training

    def loss(self, logits: Tensor, batch: Batch, consume: bool = False) -> Tensor:
        """Cross-entropy in nats a target token, label smoothing included; PAD counts nothing.

        `consume` lets the gradient take the place of the logits, which nobody can read then.
        """
        tokens = (batch.target_out != PAD).sum() if batch.loss_tokens is None else batch.loss_tokens
        targets = batch.target_out.flatten()
        return smoothed_cross_entropy(logits.flatten(0, 1), targets, self.label_smoothing, tokens, consume)

    def on_fit_start(self) -> None:
        self._trial_seed = torch.initial_seed()  # what seed_everything was given

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Dropout and scheduled sampling draw from a state set anew at every batch: a pure function of seed, rank
        and position, so that a resumed run continues exactly and nothing else that draws can disturb training."""
        torch.manual_seed(mixed_seed(self._trial_seed, self.global_rank, batch_idx))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if self.teacher_forcing < 1:
            logits = self._scheduled_sampling(batch)
        else:
            logits = self(batch, need_attention=False).logits
        return self.loss(logits, batch, consume=True)

    def _scheduled_sampling(self, batch: Batch) -> Tensor:
        """(B, T, V) logits of steps that read the reference token or the model's own choice."""
        # Not every encoder asks what the host knows of the lengths; those that do spare a GPU a wait by it.
        known = {"on_host": batch.on_host} if "on_host" in signature(self.encode).parameters else {}
        state = self.start(self.encode(batch.source, batch.source_lengths, **known))
        token = batch.target_in[:, 0]
        steps = []
        for position in range(batch.target_in.shape[1]):
            if position > 0:
                forced = torch.rand(len(token), device=token.device) < self.teacher_forcing
                token = torch.where(forced, batch.target_in[:, position], steps[-1].detach().argmax(-1))
            logits, state, _ = self.step(token, state)
            steps.append(logits)
        return torch.stack(steps, dim=1)

    def make_optimizer(self) -> torch.optim.AdamW:
        """AdamW with the model's options, each step of it one pass over all parameters.

        Its epsilon is torch's 1e-8; Vaswani et al. 2017 have 1e-9.
        """
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, betas=self.betas, weight_decay=self.weight_decay, fused=True
        )
        # A fused step can undo the scaling of float16's gradients by itself, but then Lightning could not clip them.
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        return optimizer

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer()
        total = self.trainer.max_steps
        factor = schedule_factor(self.schedule, self.warmup_steps, total)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"},
        }

    # ------------------------------------------------------------------ evaluation

    def on_validation_epoch_start(self) -> None:
        # Made here, as those of the test are, since most models are never validated.
        self.validation_metrics = SequenceMetrics().to(self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """(B, T') greedy tokens; none of a task without decoding."""
        return self._evaluate(batch, self.validation_metrics)

    def on_validation_epoch_end(self) -> None:
        values = self.validation_metrics.compute()
        self.log_dict({f"validation/{name}": value for name, value in values.items()})

    def on_test_start(self) -> None:
        loaders = self.trainer.test_dataloaders
        count = len(loaders) if isinstance(loaders, list) else 1
        self.test_metrics = nn.ModuleList(SequenceMetrics() for _ in range(count))
        self.test_metrics.to(self.device)

    def on_test_epoch_end(self) -> None:
        """Behind the test Lightning moves the model to the CPU and ends the group of processes."""
        metrics = [cast(SequenceMetrics, metrics) for metrics in self.test_metrics]
        self.test_results = [
            (one.compute(), one.by_position.compute().tolist() if one.by_position.update_called else [])
            for one in metrics
        ]

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Tensor | None:
        """(B, T') greedy tokens; none of a task without decoding, nor of text, which is decoded elsewhere, as the trial
        asks, and scored as text."""
        metrics = self.test_metrics[dataloader_idx]
        if batch.decode_limits is None:
            return self._evaluate(batch, metrics, force_length=True)
        metrics.update(batch, *self._teacher_forced(batch), None)  # type: ignore[operator]
        return None

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """(B, T') greedy tokens, computed in the precision of the weights: in bfloat16 close calls would be ties.

        They end where the longest target does, unless the end of an output decides, as where its last answer counts.
        """
        limits = batch.target_out.shape[1] if batch.decode_limits is None else batch.decode_limits
        if batch.answers is not None:
            limits = decode_limits(batch.source_lengths)
        with torch.autocast(self.device.type, enabled=False):
            return greedy(self, batch.source, batch.source_lengths, limits)

    def _evaluate(self, batch: Batch, metrics: nn.Module, force_length: bool = False) -> Tensor | None:
        output = self._teacher_forced(batch)
        if batch.on_host is not None and not batch.on_host.decoded:
            metrics.update(batch, *output, None)  # type: ignore[operator]
            return None
        decoded = self.predict_step(batch, 0)
        forced = self._length_forced(batch, decoded) if force_length else None
        metrics.update(batch, *output, decoded, forced)  # type: ignore[operator]
        return decoded

    def _teacher_forced(self, batch: Batch) -> Output:
        with torch.autocast(self.device.type, enabled=False):
            return self(batch, need_attention=batch.alignment is not None)

    def _length_forced(self, batch: Batch, decoded: Tensor) -> Tensor:
        """(B, T) greedy tokens with the true length forced, EOS left out and PAD behind it.

        Only what ended too early is decoded again: until it ends, a free-running output is the same.
        """
        lengths = (batch.target_out != PAD).sum(dim=1) - 1
        width = batch.target_out.shape[1]
        positions = torch.arange(width, device=decoded.device)
        forced = F.pad(decoded, (0, width - decoded.shape[1]), value=PAD)
        forced = forced.masked_fill(positions >= lengths[:, None], PAD)
        early = (end_of(decoded) <= lengths).nonzero().squeeze(1)
        if len(early):
            with torch.autocast(self.device.type, enabled=False):
                again = greedy(
                    self, batch.source[early], batch.source_lengths[early], lengths[early], length_forced=True
                )
            forced[early] = F.pad(again, (0, width - again.shape[1]), value=PAD)
        return forced


def schedule_factor(schedule: Schedule, warmup_steps: int, total_steps: int) -> Callable[[int], float]:
    """Learning rate at a step, as a share of its peak."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if schedule == "constant":
            return 1.0
        if schedule == "inverse-sqrt":
            return math.sqrt(max(warmup_steps, 1) / (step + 1))
        remaining = max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))
        return remaining if schedule == "linear" else 0.5 * (1 - math.cos(math.pi * remaining))

    return factor


def mixed_seed(*parts: int) -> int:
    """One 63-bit seed from several integers, each of which changes it thoroughly."""
    value = 0
    for part in parts:
        value = (value ^ part) * 0x9E3779B97F4A7C15 % 2**64
        value ^= value >> 29
    return value % 2**63
