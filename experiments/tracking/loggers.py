"""Where a trial is logged besides its folder: W&B, or another of Lightning's loggers."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger

from analysis.tables.schema import RESULTS
from data.datamodule import Seq2SeqDataModule
from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.files import read_rows
from experiments.machine import is_nonzero_rank
from experiments.tracking.agent import in_sweep
from experiments.tracking.wandb_run import Tracker, WandbTracker, settings_of
from experiments.trial.outcome import totals
from lit_models import LitSeq2Seq


def tracker_of(trial: Trial, folder: Path) -> Tracker:
    """What the options or a sweep's agent ask for, and of several processes the first alone.

    Raises:
        UsageError: a package is missing, or two trackers are asked for.
    """
    asked, wandb = trial.config.get("logger"), trial.config["wandb"]
    if is_nonzero_rank():
        return Tracker()
    if wandb and asked not in (None, "wandb"):
        raise UsageError(f"--logger {asked}: --wandb true asks for W&B; leave one of them out")
    if wandb or in_sweep() or asked == "wandb":
        return Tracker() if os.environ.get("WANDB_MODE") == "disabled" else WandbTracker(trial, folder)
    return Tracker() if asked is None else LoggerTracker(trial, folder, asked)


class LoggerTracker(Tracker):
    """TensorBoard, MLflow or CSV files.

    A trial that is resumed logs its curves from the beginning: into another run of MLflow, else in place of what it
    logged before.

    Args:
        trial: the trial.
        folder: its folder, in which TensorBoard's and the CSV logger's files lie.
        name: tensorboard, mlflow or csv.

    Raises:
        UsageError: the logger's package is missing.
    """

    def __init__(self, trial: Trial, folder: Path, name: str) -> None:
        self.trial, self.folder, self.name = trial, folder, name
        self.settings: dict[str, Any] = {}
        self.logger: Logger | None = None
        try:
            if name == "tensorboard":
                import tensorboard  # noqa: F401
            elif name == "mlflow":
                import mlflow  # type: ignore[import-not-found]  # noqa: F401
        except ImportError:
            raise UsageError(
                f"--logger {name}: its package is not installed; pip install 'lengthwise[{name}]'"
            ) from None

    def begin_run(self, trainer: pl.Trainer, model: LitSeq2Seq, curves: Iterable[list[str]]) -> None:
        self.settings, _ = settings_of(self.trial, model.options, model.num_params)
        self.logger = self._logger()
        self.logger.log_hyperparams(self.settings)
        trainer.loggers = [self.logger]
        super().begin_run(trainer, model, curves)

    def _logger(self) -> Logger:
        if self.name == "mlflow":
            runs, server = self.folder.parent.resolve(), os.environ.get("MLFLOW_TRACKING_URI")
            return MLFlowLogger(
                os.environ.get("MLFLOW_EXPERIMENT_NAME", "lengthwise"),
                self.trial.name,
                server or f"sqlite:///{runs / 'mlflow.db'}",
                tags={key: str(value) for key, value in self.trial.labels.items()},
                artifact_location=None if server else (runs / "mlflow").as_uri(),
            )
        shutil.rmtree(self.folder / self.name, ignore_errors=True)
        if self.name == "csv":
            return CSVLogger(self.folder, "csv", "", flush_logs_every_n_steps=1)
        return TensorBoardLogger(self.folder, "tensorboard", "", default_hp_metric=False)

    def log_trial(self, summary: dict[str, Any], model: LitSeq2Seq, data: Seq2SeqDataModule) -> None:
        from experiments.tracking.media import log_files, log_samples  # drawing is slow to import

        assert self.logger is not None
        self.logger.log_metrics(totals(read_rows(self.folder / RESULTS.file)), summary["steps"])
        if isinstance(self.logger, CSVLogger):
            return  # which holds no pictures
        if data.text is None:
            log_samples(self.logger, model, data)
        log_files(self.logger, self.folder, summary)

    def end_run(self, status: str, **failure: Any) -> None:
        if self.logger is not None:
            self.logger.finalize("success" if status in ("complete", "stopped") else "failed")
