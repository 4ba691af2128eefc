"""What a sweep will take: its trials, their sizes, and the time, from a few steps of each kind of trial."""

import copy
import json
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from data.datamodule import Seq2SeqDataModule
from experiments.config.parser import make_cli
from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.trial.environment import set_arithmetic
from experiments.trial.outcome import read_summary, reason
from lit_models import LitSeq2Seq

STEPS = 5  # of each kind of trial
WARM_UP = 2  # of these, which are not counted


class Stopwatch(Callback):
    """Seconds of each training step, data loading included, and of the last validation."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.validation = 0.0

    @property
    def step(self) -> float:
        """The median of the steps behind the warm-up."""
        between = [end - begin for begin, end in zip(self.ends, self.ends[1:], strict=False)]
        return statistics.median(between[WARM_UP - 1 :])

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step > len(self.ends):  # several batches make one step where gradients are accumulated
            self.ends.append(now(trainer))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation = -now(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation += now(trainer)


def now(trainer: pl.Trainer) -> float:
    """The time, in seconds, when the device has done what it was told."""
    if trainer.strategy.root_device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@dataclass
class Cell:
    """Trials that differ in nothing but their seed.

    Attributes:
        trials: all of them.
        missing: how many are not complete.
        parameters: of the model.
        step: seconds of a training step.
        evaluation: seconds of a pass over the validation examples.
        passes: such passes of a whole trial, its final test counted by the tokens it decodes.
    """

    trials: list[Trial] = field(default_factory=list)
    missing: int = 0
    parameters: int = 0
    step: float = 0.0
    evaluation: float = 0.0
    passes: float = 0.0

    @property
    def steps(self) -> int:
        """Most training steps of a trial."""
        return int(self.trials[0].config["trainer"]["max_steps"])

    @property
    def seconds(self) -> float:
        """Of a trial that takes all its steps."""
        return self.steps * self.step + self.passes * self.evaluation


def cells(trials: list[Trial]) -> list[Cell]:
    """Trials by everything but their seed, in the order of the sweep."""
    by_options: dict[str, Cell] = {}
    for trial in trials:
        rest = {key: value for key, value in trial.config.items() if key != "seed_everything"}
        rest["data"] = {key: value for key, value in rest["data"].items() if key != "seed"}
        cell = by_options.setdefault(json.dumps(rest, sort_keys=True), Cell())
        cell.trials.append(trial)
        cell.missing += read_summary(trial.folder) is None
    return list(by_options.values())


def train(
    trial: Trial, threads: int, settings: dict[str, Any], callback: Callback
) -> tuple[LitSeq2Seq, Seq2SeqDataModule]:
    """Train a trial in this process, with other settings of the trainer and one callback; no trial is written."""
    config = copy.deepcopy(trial.config)
    config["trainer"] |= settings
    set_arithmetic(config["tf32"], bool(config["trainer"]["deterministic"]))
    torch.set_num_threads(config["threads"] or threads)
    cli = make_cli(config)
    model, data = cli.model, cli.datamodule
    assert isinstance(model, LitSeq2Seq)
    assert isinstance(data, Seq2SeqDataModule)
    cli.trainer.callbacks = [callback]  # type: ignore[attr-defined]
    cli.trainer.fit(model, data)
    return model, data


def measure(cell: Cell, threads: int) -> None:
    """Train the first trial of a cell for a few steps and validate it once; no trial is written.

    Raises:
        UsageError: the trial cannot run.
    """
    interval, stopwatch = cell.trials[0].config["trainer"]["val_check_interval"], Stopwatch()
    try:
        model, data = train(cell.trials[0], threads, {"max_steps": STEPS, "val_check_interval": STEPS}, stopwatch)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise UsageError(f"{cell.trials[0].name}: {reason(error)}") from None
    cell.parameters, cell.step, cell.evaluation = model.num_params, stopwatch.step, stopwatch.validation
    cell.passes = math.ceil(cell.steps / interval) + _test_size(data)


def _test_size(data: Seq2SeqDataModule) -> float:
    """The final test in passes over the validation examples, as if it too were decoded greedily."""
    if data.text is not None:
        return len(data.text.text("test")) / len(data.text.text("validation"))
    tokens = sum(data.test_examples * length for length in data.eval_lengths)
    return tokens / (data.validation_examples * data.length)


def table(kinds: list[Cell], threads: int) -> Iterator[str]:
    """Measure each cell and say what it takes, line by line."""
    width = max(len(cell.trials[0].labels["arch"]) for cell in kinds)
    tasks = max(len(cell.trials[0].labels["task"]) for cell in kinds)
    yield f"{'architecture':{width}}  {'task':{tasks}}  length  trials  complete  parameters   steps   s/step  h/trial"
    for cell in kinds:
        measure(cell, threads)
        labels = cell.trials[0].labels
        yield (
            f"{labels['arch']:{max(width, 12)}}  {labels['task']:{tasks}}  {labels['train_length']:6}  "
            f"{len(cell.trials):6}  {len(cell.trials) - cell.missing:8}  {cell.parameters:10,}  {cell.steps:6}  "
            f"{cell.step:7.4f}  {cell.seconds / 3600:7.3f}"
        )


def total(kinds: list[Cell], workers: int, threads: int) -> str:
    """What the missing trials take together, one after the other and side by side."""
    seconds = sum(cell.missing * cell.seconds for cell in kinds)
    longest = max((cell.seconds for cell in kinds if cell.missing), default=0.0)
    trials, missing = sum(len(cell.trials) for cell in kinds), sum(cell.missing for cell in kinds)
    return (
        f"{trials} trials, {trials - missing} of them complete: {seconds / 3600:.2f} h one after the other, "
        f"{max(seconds / workers, longest) / 3600:.2f} h {workers} at a time with {threads} "
        f"thread{'s' if threads > 1 else ''} each. Trials that stop early take less."
    )
