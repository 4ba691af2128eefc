"""Gradient flow while a model trains: the curve every so many steps, and norms before clipping."""

import csv
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor

from analysis.tables.schema import EMBEDDING_GRADIENT
from data.batch import Batch
from data.datamodule import Seq2SeqDataModule
from experiments.probes.gradient_table import Row, Subject, append_rows, write_table
from lit_models import LitSeq2Seq
from lit_models.probes.gradient_flow import curve, distances, embedding_gradients, spaced_distances

SEQUENCES = 32  # of the validation split, the same at every measurement
LOGGED_DISTANCES = 12  # about as many are sent to loggers; the file has all


class GradientFlow(Callback):
    """Writes gradients.csv into a trial's folder: at step 0, every so many steps, and at the end.

    Training goes on as it would without: the probe changes no weight, gradient or random state. On resuming, rows
    behind the checkpoint are dropped, so that the file is what an undisturbed run would have written. Data of any kind
    serve, text too: the distance of a token is counted from the end of its own sentence.

    Args:
        path: gradients.csv of the trial.
        subject: what the trial is called.
        every: optimiser steps between two measurements.
    """

    def __init__(self, path: Path, subject: Subject, every: int) -> None:
        self.path = path
        self.subject = subject
        self.every = every
        self.norms: list[Tensor] = []  # (P,) of each parameter, a vector for each step since the last measurement
        self.measured_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.norms = [norms.to(pl_module.device) for norms in self.norms]  # a checkpoint has them on the CPU
        self._keep_rows(trainer.global_step)
        if trainer.global_step == 0:
            self.norms = []
            self._measure(trainer, pl_module, "initial")

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Lightning calls this before it clips."""
        if trainer.is_global_zero:
            parameters = [parameter for _, parameter in pl_module.named_parameters()]
            gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in parameters]
            self.norms.append(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        step = trainer.global_step
        # The last step is measured when training has ended.
        due = step % self.every == 0 and step != self.measured_step and step < trainer.max_steps
        if due and trainer.is_global_zero:
            self._measure(trainer, pl_module, "training")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Also called where a trial is resumed behind its last step, which trains no more."""
        if trainer.is_global_zero:
            self._keep_rows(trainer.global_step)
            self._measure(trainer, pl_module, "trained")

    def _keep_rows(self, step: int) -> None:
        """Leave of the file what was written up to a step, without the end of training."""
        rows: list[Row] = []
        if self.path.exists() and step > 0:
            with self.path.open(newline="") as file:
                rows = [row for row in map(_row, csv.reader(file)) if row is not None]
        write_table(self.path, [row for row in rows if row.step <= step and row.phase != "trained"])

    def _measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule, phase: str) -> None:
        """Measure, write and log."""
        assert isinstance(pl_module, LitSeq2Seq)
        step = self.measured_step = trainer.global_step
        batch = self._examples(trainer)
        gradients = embedding_gradients(pl_module, move_data_to_device(batch, pl_module.device))
        points = curve(gradients, distances(batch))
        points = [point for point in points if math.isfinite(point.mean)]  # a model may be about to diverge
        rows = self.subject.curve(phase, step, EMBEDDING_GRADIENT, points) + self._norm_rows(trainer, pl_module, phase)
        append_rows(self.path, rows)
        shown = spaced_distances(int(batch.source_lengths.max()), LOGGED_DISTANCES)
        values = {_logged_name(row): row.mean for row in rows if row.distance is None or row.distance in shown}
        for logger in trainer.loggers:
            logger.log_metrics(values, step)

    def _examples(self, trainer: pl.Trainer) -> Batch:
        """The first validation examples, whole even where several processes share them."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, Seq2SeqDataModule)
        store = data.val_dataloader().store
        return store.batch(np.arange(min(SEQUENCES, len(store))))

    def _norm_rows(self, trainer: pl.Trainer, pl_module: LitSeq2Seq, phase: str) -> list[Row]:
        """Norms over all parameters and of each module since the last measurement, and the share of clipped steps."""
        if not self.norms:
            return []
        squares = torch.stack(self.norms).cpu().double().square()  # (steps, P)
        self.norms = []
        modules = [name.partition(".")[0] for name, _ in pl_module.named_parameters()]
        groups = {"gradient_norm": list(range(len(modules)))}
        for place, module in enumerate(modules):
            groups.setdefault(f"gradient_norm/{module}", []).append(place)
        norms = {name: squares[:, places].sum(dim=1).sqrt() for name, places in groups.items()}  # (steps,)
        rows = [
            self.subject.scalar(
                phase, self.measured_step, name, float(norm.mean()), float(norm.min()), float(norm.max())
            )
            for name, norm in norms.items()
            if bool(norm.isfinite().all())
        ]
        limit = trainer.gradient_clip_val
        if limit and trainer.gradient_clip_algorithm in (None, "norm"):
            clipped = (norms["gradient_norm"] > limit).double().mean()
            rows.append(self.subject.scalar(phase, self.measured_step, "clipped", float(clipped)))
        return rows

    def state_dict(self) -> dict[str, Any]:
        return {"norms": self.norms, "looked": self.measured_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.norms, self.measured_step = state_dict["norms"], state_dict["looked"]


def _row(cells: list[str]) -> Row | None:
    """A line of gradients.csv; None for its header and for one that a killed process left unfinished."""
    if len(cells) != len(Row._fields) or not cells[6].isdigit():
        return None
    arch, variant, task, length, seed, phase, step, quantity, distance, mean, *numbers = cells
    low, high = (float(number) if number else None for number in numbers[:2])
    return Row(
        arch, variant, task, int(length), int(seed), phase, int(step), quantity,
        int(distance) if distance else None, float(mean), low, high, int(numbers[2]) if numbers[2] else None,
    )  # fmt: skip


def _logged_name(row: Row) -> str:
    if row.distance is not None:
        return f"gradient/distance_{row.distance}"
    return f"gradient/{row.quantity.removeprefix('gradient_')}"
