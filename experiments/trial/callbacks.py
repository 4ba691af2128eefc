"""What happens beside training: curves, progress, stopping, and the guard against divergence."""

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch import callbacks
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from torch import Tensor

from analysis.tables.schema import HISTORY
from data.batch import PAD, Batch
from experiments.files import whole_file

EXPLODED = (
    1000.0  # nats a token: a guess among all tokens costs their logarithm, some 10; no training returns from here
)


class TrialDiverged(Exception):
    """The loss is no longer a finite number, or beyond all measure. Carries the step."""

    def __init__(self, loss: float, step: int) -> None:
        what = f"has exploded to {loss:.3g}" if math.isfinite(loss) else "is not finite"
        super().__init__(f"the loss {what} at step {step}; lower model.learning_rate")
        self.step = step


class TrialStopped(Exception):
    """A sweep has stopped the trial, which fell behind others. Carries the step."""

    def __init__(self, metric: str, value: float, step: int) -> None:
        super().__init__(f"stopped early by the sweep at step {step}, {metric} {value:.4g}")
        self.step = step


def _is_bad(loss: float) -> bool:
    return not loss < EXPLODED  # so that NaN is caught too


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's EarlyStopping that halves the learning rate before it stops, and remembers across a restart that it
    has stopped.

    A trial killed between stopping and writing its results would otherwise train on when it is resumed. The halved
    learning rate is kept in the states of optimiser and scheduler, so that resuming is exact.

    Args:
        *args: options of Lightning's EarlyStopping.
        halvings: how many times the learning rate is halved, each time `patience` validations in a row bring no
            improvement; training ends the time after. With schedule=constant, training then needs no known total.
        **kwargs: options of Lightning's EarlyStopping.
    """

    stopped = False
    halved = 0

    def __init__(self, *args: Any, halvings: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.halvings = halvings

    @property
    def converged(self) -> bool:
        """Whether training ended because the task was solved or validation no longer improved."""
        return self.stopped and self.stopping_reason in (
            EarlyStoppingReason.STOPPING_THRESHOLD,
            EarlyStoppingReason.PATIENCE_EXHAUSTED,
        )

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Ask for a stop at the last step: Lightning validates before it follows, wherever the last interval began."""
        trainer.should_stop = trainer.should_stop or trainer.global_step >= trainer.max_steps

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        exhausted = self.stopping_reason == EarlyStoppingReason.PATIENCE_EXHAUSTED
        if trainer.should_stop and exhausted and self.halved < self.halvings:
            self._halve(trainer)
        self.stopped = trainer.should_stop

    def _halve(self, trainer: pl.Trainer) -> None:
        """Halve the learning rate from the next step on, and wait once more for an improvement."""
        for config in trainer.lr_scheduler_configs:
            config.scheduler.base_lrs = [rate / 2 for rate in config.scheduler.base_lrs]  # type: ignore[union-attr]
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] /= 2
        self.halved += 1
        self.wait_count = 0
        self.stopping_reason = EarlyStoppingReason.NOT_STOPPED
        trainer.should_stop = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        trainer.should_stop = trainer.should_stop or self.stopped

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "stopped": self.stopped, "halved": self.halved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.stopped = state_dict["stopped"]
        self.halved = state_dict.get("halved", 0)  # checkpoints of earlier versions never halved


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Lightning's ModelCheckpoint that knows its files again where their folder has been moved.

    It would otherwise forget the best score so far, and take the next checkpoint for the best.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def moved(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        here = {name: moved(state_dict[name]) for name in paths}
        best = {moved(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **here, "best_k_models": best, "dirpath": self.dirpath})


class History(callbacks.Callback):
    """Writes training and validation curves to a CSV file as training goes on, and ends a diverged trial.

    On resuming, rows behind the checkpoint are dropped, so that the file is what an undisturbed run would have
    written; only the seconds differ. Seconds count training and validation, not the pause between two starts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds_before = 0.0
        self.started: float | None = None  # stays so where a trial is resumed behind its last step
        self.step = 0  # the one that is being taken
        self.losses: list[tuple[int, Tensor]] = []  # of each batch since the last row, with its step
        self.tokens: list[Tensor] = []
        self.interval_start = 0.0
        self.written = 0

    @property
    def seconds(self) -> float:
        """Seconds of training so far, over all starts."""
        return self.seconds_before + (0.0 if self.started is None else time.perf_counter() - self.started)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = self.interval_start = time.perf_counter()
        self.written = trainer.global_step  # its row stands before the checkpoint that training goes on from
        self.losses = [(step, loss.to(pl_module.device)) for step, loss in self.losses]
        if not trainer.is_global_zero:
            return
        resumed = trainer.global_step > 0 and self.path.exists()
        kept = rows_until(self.path, trainer.global_step) if resumed else []
        with whole_file(self.path) as partial, partial.open("w", newline="") as file:
            csv.writer(file).writerows([HISTORY.names, *kept])

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.step = trainer.global_step + 1

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        loss = outputs["loss"].detach() * trainer.accumulate_grad_batches  # by which Lightning has divided it
        self.losses.append((self.step, loss))
        self.tokens.append((batch.target_out != PAD).sum())
        step = trainer.global_step
        if step % trainer.log_every_n_steps == 0 and step != self.written:  # type: ignore[attr-defined]
            self.written = step  # several batches make one step where gradients are accumulated
            self._write_training(trainer)

    def _write_training(self, trainer: pl.Trainer) -> None:
        loss = float(torch.stack([loss for _, loss in self.losses]).mean())
        self._check(loss, trainer.global_step)
        now = time.perf_counter()
        values = {
            "loss": loss,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "target_tokens_per_second": float(torch.stack(self.tokens).sum()) / (now - self.interval_start),
        }
        self.losses, self.tokens, self.interval_start = [], [], now
        for logger in trainer.loggers:
            logger.log_metrics({f"train/{name}": value for name, value in values.items()}, trainer.global_step)
        self._append(trainer, "train", values)

    def _check(self, loss: float, step: int) -> None:
        """End a diverged trial, naming the first batch that shows it.

        The batches are looked at one by one only then: reading each loss as it comes would make a GPU wait.
        """
        if _is_bad(loss):
            for batch_step, batch_loss in self.losses:
                if _is_bad(float(batch_loss)):
                    raise TrialDiverged(float(batch_loss), batch_step)
            raise TrialDiverged(loss, step)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit":
            return
        values = {
            name.removeprefix("validation/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("validation/")
        }
        self._check(values["loss"], trainer.global_step)
        self._append(trainer, "validation", values)
        self.interval_start = time.perf_counter()

    def _append(self, trainer: pl.Trainer, split: str, values: dict[str, float]) -> None:
        if not trainer.is_global_zero:
            return
        seconds = round(self.seconds, 3)
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows(
                (trainer.global_step, seconds, split, name, repr(value)) for name, value in values.items()
            )

    def state_dict(self) -> dict[str, Any]:
        # A checkpoint between two rows takes with it what the next row is the mean of.
        losses = torch.stack([loss for _, loss in self.losses]).cpu() if self.losses else torch.empty(0)
        return {"seconds": self.seconds, "steps": [step for step, _ in self.losses], "losses": losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds_before = state_dict["seconds"]
        if "losses" in state_dict:  # checkpoints of earlier versions have none
            self.losses = list(zip(state_dict["steps"], state_dict["losses"], strict=True))


def rows_until(path: Path, step: int) -> list[list[str]]:
    """The rows of a history file up to a step.

    Raises:
        OSError: the file is not there.
        ValueError: the file is something else.
    """
    return [row for row in read_history(path) if int(row[0]) <= step]


def read_history(path: Path) -> list[list[str]]:
    """The rows of a history file, without its header and without a last row that a killed process left unfinished.

    Raises:
        ValueError: the file is something else.
    """
    text, end, _ = path.read_text(encoding="utf-8").rpartition("\n")
    rows = list(csv.reader((text + end).splitlines()))
    if rows and rows[0] != HISTORY.names:
        raise ValueError(f"{path} has other columns")
    for step, seconds, _, _, value in rows[1:]:
        for number in (int(step), seconds, value):
            float(number)
    return rows[1:]


class Progress(callbacks.Callback):
    """Tells how far training has come, as a share of its most steps, at every step."""

    def __init__(self, report: Callable[[float, str], None]) -> None:
        self.report = report
        self.note = ""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.report(trainer.global_step / trainer.max_steps, self.note)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        if "validation/loss" in metrics:
            self.note = f"validation loss {metrics['validation/loss']:.3f}"
            if "validation/greedy_token_accuracy" in metrics:  # there is none of pre-training
                self.note += f", greedy accuracy {metrics['validation/greedy_token_accuracy']:.1%}"
