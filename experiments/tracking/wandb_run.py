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
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import Logger, WandbLogger

from analysis.tables.wandb_mirror import KEPT_FILES, WHOLE_TEST_SET
from experiments.errors import UsageError
from experiments.trial.stopping import agent_is_gone

if TYPE_CHECKING:
    from experiments.trial.trial import Trial

INTERRUPTED = 255  # the exit code by which W&B calls a run killed


def in_sweep() -> bool:
    """Whether a W&B agent started this process and wants its run."""
    return "WANDB_SWEEP_ID" in os.environ


def wanted(config: dict[str, Any]) -> bool:
    """Whether a trial of this configuration is to have a run in W&B."""
    return (config["wandb"] or in_sweep()) and os.environ.get("WANDB_MODE") != "disabled"


def begin_run(trial: "Trial", folder: Path, options: dict[str, Any], num_params: int) -> WandbLogger:
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
    settings = _dotted({**{key: value for key, value in trial.config.items() if key != "model"}, "model": options})
    flat = {**trial.labels, "num_params": num_params, "trial": trial.name}  # a run may be renamed, its trial not
    settings |= flat
    given = set(run.config.keys())  # the sweep's, which are locked, or those of a run that is taken up again
    run.config.update({key: value for key, value in settings.items() if key not in given})
    run.summary.update(flat)
    return WandbLogger(experiment=run)


def tell_again(loggers: Iterable[Logger], rows: Iterable[list[str]]) -> None:
    """Tell what a trial wrote into its history before this run of it began, so that the curves of the run are whole.

    Args:
        loggers: of the trainer. A run that W&B has taken up again knows its curves.
        rows: lines of history.csv.
    """
    points: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
    for step, _, split, metric, value in rows:
        points[int(step), split][f"{split}/{metric}"] = float(value)
    for logger in loggers:
        if not (isinstance(logger, WandbLogger) and logger.experiment.resumed):
            for (step, _), values in points.items():
                logger.log_metrics(values, step)


def tell_results(logger: WandbLogger, folder: Path, summary: dict[str, Any]) -> None:
    """Tell the results of a complete trial: curves by length and position, the summary, and files.

    A row of history holds a test length, or bucket of text, or a target position; `analysis.tables.wandb_mirror`
    reads them.
    """
    run = logger.experiment
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for axis, points in _curves(rows):
        run.define_metric(axis)
        for name in dict.fromkeys(key for point in points for key in point if key != axis):
            run.define_metric(name, step_metric=axis, summary="none")
        for point in points:
            run.log(point)
    totals = {
        f"test/{row['metric']}/{row['bucket'] or row['eval_length']}": float(row["value"])
        for row in rows
        if not row["position"]
    }
    run.summary.update({**totals, **summary})
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
        elif row["bucket"] == WHOLE_TEST_SET:
            whole |= {"test/all/eval_length": length, f"test/all/{row['metric']}": value}
        else:
            point = lengths.setdefault((row["eval_length"], row["bucket"]), {"test/eval_length": length})
            point |= {"test/bucket": row["bucket"]} if row["bucket"] else {}
            point[f"test/{row['metric']}"] = value
    yield "test/eval_length", list(lengths.values())
    yield "test/all/eval_length", [whole] if whole else []
    yield "test/position", list(positions.values())


def end_run(trial: "Trial", exit_code: int, **summary: Any) -> None:
    """End the run of a trial, if it has one.

    A run whose agent has gone goes back to its sweep: W&B hands it out again, and where the trial's folder is within
    reach training continues. One that the agent itself has stopped, as the server tells it to, does not.

    Args:
        trial: the trial.
        exit_code: 0 for a complete trial; `INTERRUPTED` for one that can be continued.
        **summary: what the run's summary is to say besides, such as the reason of a failure.
    """
    if not wanted(trial.config):
        return
    import wandb

    if wandb.run is None:  # it ended before its run began
        return
    wandb.run.summary.update(summary)
    if exit_code == INTERRUPTED and in_sweep() and agent_is_gone():
        wandb.run.mark_preempting()
    wandb.run.finish(exit_code=exit_code)


def tell_complete(trial: "Trial", folder: Path, summary: dict[str, Any]) -> None:
    """Give a W&B agent its run of a trial that was complete already."""
    from experiments.tracking.wandb_media import tell_files  # drawing is slow to import

    logger = begin_run(trial, folder, summary["model"], summary["num_params"])
    with (folder / "history.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    tell_again([logger], rows)
    tell_results(logger, folder, summary)
    tell_files(logger, folder)
    end_run(trial, 0)


def _dotted(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"data": {"length": 5}} -> {"data.length": 5}"""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat.update(_dotted(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
