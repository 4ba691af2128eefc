"""A trial's run in W&B; docs/wandb.md says what it shows.

WANDB_MODE says whether the run is online, offline or, disabled, not there at all, and then wandb is not even imported.
The end of a run is told from the trial's folder, so that W&B shows what the folder holds and analysis reads it back.
"""

import csv
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger, WandbLogger

from analysis.tables.schema import ALL, HISTORY, RESULTS
from analysis.tables.wandb_mirror import KEPT_FILES
from data.datamodule import Seq2SeqDataModule
from experiments.config.options import options_of
from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.files import read_rows
from experiments.tracking.agent import agent_is_gone, in_sweep
from experiments.trial.outcome import totals
from lit_models import LitSeq2Seq

# W&B takes a run that exits with 255 for one that was killed and can be continued.
EXIT_CODES = {"complete": 0, "interrupted": 255, "failed": 1, "diverged": 1, "stopped": 0}


class Tracker:
    """What is told of a trial as it runs. This one knows Lightning's own loggers alone, if the trainer has any."""

    def begin_run(self, trainer: pl.Trainer, model: LitSeq2Seq, curves: Iterable[list[str]]) -> None:
        """Before training: begin a run, which the trainer then logs to.

        Args:
            trainer: is given a logger.
            model: the model as it is built.
            curves: the rows of history.csv that the trial wrote before it was resumed.
        """
        for logger in trainer.loggers:
            log_history(logger, curves)

    def log_trial(self, summary: dict[str, Any], model: LitSeq2Seq, data: Seq2SeqDataModule) -> None:
        """Once the trial's folder is complete: results, examples and artifacts."""

    def log_complete_trial(self, summary: dict[str, Any]) -> None:
        """Instead of all others, where the trial was complete already."""

    def end_run(self, status: str, **failure: Any) -> None:
        """At the end: complete, interrupted, failed, diverged or stopped, and for the latter three the reason."""


class WandbTracker(Tracker):
    """A run in W&B."""

    def __init__(self, trial: Trial, folder: Path) -> None:
        self.trial = trial
        self.folder = folder
        self.logger: WandbLogger | None = None

    def begin_run(self, trainer: pl.Trainer, model: LitSeq2Seq, curves: Iterable[list[str]]) -> None:
        self.logger = begin_run(self.trial, self.folder, model.options, model.num_params)
        trainer.loggers = [self.logger]
        super().begin_run(trainer, model, curves)

    def log_trial(self, summary: dict[str, Any], model: LitSeq2Seq, data: Seq2SeqDataModule) -> None:
        from experiments.tracking.media import log_artifacts, log_files, log_samples  # drawing is slow to import

        assert self.logger is not None
        log_results(self.logger, self.folder, summary)
        if data.text is None:
            log_samples(self.logger, model, data)
        log_files(self.logger, self.folder, summary)
        if self.trial.config["wandb_artifacts"]:
            log_artifacts(self.logger, self.trial.name, self.folder, data)

    def log_complete_trial(self, summary: dict[str, Any]) -> None:
        """A W&B agent waits for the run it has handed out; nobody else does."""
        from experiments.tracking.media import log_files

        if not in_sweep():
            return
        logger = begin_run(self.trial, self.folder, summary["model"], summary["num_params"])
        with (self.folder / HISTORY.file).open(newline="") as file:
            _, *curves = csv.reader(file)
        log_history(logger, curves)
        log_results(logger, self.folder, summary)
        log_files(logger, self.folder, summary)
        self.end_run("complete")

    def end_run(self, status: str, **failure: Any) -> None:
        """End the run, if it ever began.

        A run whose agent has gone goes back to its sweep: W&B hands it out again, and where the trial's folder is
        within reach training continues. One that the agent itself has stopped, as the server tells it to, does not.
        """
        import wandb

        if wandb.run is None:
            return
        if failure:
            wandb.run.summary.update({"status": status, **failure})
        if status == "interrupted" and in_sweep() and agent_is_gone():
            wandb.run.mark_preempting()
        wandb.run.finish(exit_code=EXIT_CODES[status])


def begin_run(trial: Trial, folder: Path, options: dict[str, Any], num_params: int) -> WandbLogger:
    """Begin the run of a trial, with flat keys to group by.

    The configuration goes under dotted names: inside a sweep, W&B locks the sweep's own keys, and a nested `model`
    would collide with the sweep's `model`.

    Args:
        trial: the trial.
        folder: its folder, in which wandb keeps its own.
        options: all options of the model.
        num_params: parameters of the model.

    Raises:
        UsageError: there is no account here, or the server cannot be reached.
    """
    import wandb
    from wandb.errors import Error as WandbError

    try:
        run = wandb.init(
            name=trial.name,
            dir=str(folder),
            project=os.environ.get("WANDB_PROJECT", "lengthwise"),
            group=os.environ.get("WANDB_RUN_GROUP", trial.group),
            job_type=os.environ.get("WANDB_JOB_TYPE", "fit"),
            resume="allow",
        )
    except (WandbError, ValueError) as error:  # the latter of a key that is none
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"--wandb: {reason}; log in with wandb login, or set WANDB_MODE=offline") from None
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    settings, flat = settings_of(trial, options, num_params)
    given = set(run.config.keys())  # the sweep's, which are locked, or those of a run that is taken up again
    run.config.update({key: value for key, value in settings.items() if key not in given})
    run.summary.update(flat)
    return WandbLogger(experiment=run)


def settings_of(trial: Trial, options: dict[str, Any], num_params: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """All options of a trial by dotted names, with its labels, and the latter alone."""
    flat = {**trial.labels, "num_params": num_params, "trial": trial.name}  # a run may be renamed, its trial not
    settings = {option.name: option.value for option in options_of({**trial.config, "model": options})}
    return {**settings, **flat}, flat


def log_history(logger: Logger, rows: Iterable[list[str]]) -> None:
    """Log what a trial wrote into its history before this run of it began, so that the curves of the run are whole.

    Args:
        logger: of the run. A run that W&B has taken up again knows its curves.
        rows: lines of history.csv.
    """
    if isinstance(logger, WandbLogger) and logger.experiment.resumed:
        return
    points: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
    for step, _, split, metric, value in rows:
        points[int(step), split][f"{split}/{metric}"] = float(value)
    for (step, _), values in points.items():
        logger.log_metrics(values, step)


def log_results(logger: WandbLogger, folder: Path, summary: dict[str, Any]) -> None:
    """Log the results of a complete trial: curves by length and position, the summary, and files.

    A row of history holds a test length, or bucket of text, or a target position; `analysis.tables.wandb_mirror`
    reads them.
    """
    run = logger.experiment
    rows = read_rows(folder / RESULTS.file)
    for axis, points in _curves(rows):
        run.define_metric(axis)
        for name in dict.fromkeys(key for point in points for key in point if key != axis):
            run.define_metric(name, step_metric=axis, summary="none")
        for point in points:
            run.log(point)
    run.summary.update({**totals(rows), **summary})
    for name in KEPT_FILES:
        if (folder / name).exists():
            # A copy, as offline runs are synchronised later, perhaps elsewhere.
            run.save(shutil.copy(folder / name, Path(run.dir, name)), base_path=run.dir, policy="now")


def _curves(rows: list[dict[str, str]]) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    """The rows of results.csv as points to log, with the name of the axis they stand over."""
    lengths: dict[tuple[str, str], dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    positions: dict[int, dict[str, Any]] = {}
    for row in rows:
        value, length = float(row["value"]), int(row["eval_length"])
        if row["position"]:
            point = positions.setdefault(int(row["position"]), {"test/position": int(row["position"])})
            point[f"test/{row['metric']}/{length}"] = value
        elif row["bucket"] == ALL:
            whole |= {"test/all/eval_length": length, f"test/all/{row['metric']}": value}
        else:
            point = lengths.setdefault((row["eval_length"], row["bucket"]), {"test/eval_length": length})
            point |= {"test/bucket": row["bucket"]} if row["bucket"] else {}
            point[f"test/{row['metric']}"] = value
    yield "test/eval_length", list(lengths.values())
    yield "test/all/eval_length", [whole] if whole else []
    yield "test/position", list(positions.values())
