"""How a trial runs: trained, or continued from its last checkpoint, then evaluated. docs/results.md describes what it
leaves in its folder."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml

from analysis.tables.schema import FAILURE, GRADIENTS, HISTORY, SUMMARY
from data.datamodule import Seq2SeqDataModule
from data.tasks import SPLITS
from data.text import TextCorpus
from experiments.config.parser import make_cli
from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.evaluation.validation_scores import ValidationScores
from experiments.files import exclusive_lock, whole_file, write_json
from experiments.machine import is_nonzero_rank, keep_freed_memory
from experiments.probes.gradient_callback import GradientFlow
from experiments.probes.gradient_table import Subject, variant
from experiments.tracking.loggers import tracker_of
from experiments.tracking.wandb_run import Tracker
from experiments.trial.callbacks import EarlyStopping, History, Progress, rows_until
from experiments.trial.checkpoints import CarriedSettings, WholeCheckpoints, fits, load_weights, read_checkpoint
from experiments.trial.cuda_graphs import replayed_steps
from experiments.trial.environment import device_name, set_arithmetic, write_environment
from experiments.trial.evaluation import evaluate, write_evaluation
from experiments.trial.outcome import failure_of, out_of_memory, read_summary, write_failure
from experiments.trial.warm_start import freeze, patterns_of, task_of, warm_start
from lit_models import LitSeq2Seq
from lit_models.decoding.decoder import Decoding

Report = Callable[[float, str], None]


def run_trial(trial: Trial, folder: Path, report: Report, callbacks: Sequence[pl.Callback] = ()) -> dict[str, Any]:
    """Train, evaluate at every length, and leave the results in the folder.

    A trial that was stopped half way continues from its last checkpoint; one that is complete is left alone.

    Args:
        trial: what to run.
        folder: where its results go.
        report: is told the share of the work done, with a note.
        callbacks: are told of training behind the trial's own.

    Returns:
        The summary.

    Raises:
        UsageError: the folder cannot be written, another process runs this trial, or training ended before its first
            validation.
        TrialDiverged: the loss is no longer finite, or has exploded; failure.json says at which step.
        TrialStopped: one of the callbacks has raised it; likewise.
        MemoryError: an allocation was refused.
        KeyboardInterrupt: Ctrl-C; the trial can be continued.
        Exception: whatever else went wrong; failure.json says what.
    """
    summary = read_summary(folder)
    tracker = tracker_of(trial, folder)
    if summary is not None:
        tracker.log_complete_trial(summary)
        return summary
    with contextlib.nullcontext() if is_nonzero_rank() else exclusive_lock(folder, "--runs"):
        if not is_nonzero_rank():
            for left in (folder / FAILURE.file, *folder.rglob("*.partial")):  # the latter by a process that was killed
                left.unlink(missing_ok=True)
        ending: dict[str, Any] = {"status": "interrupted"}
        try:
            summary = _train_and_evaluate(trial, folder, report, tracker, callbacks)
            ending = {"status": "complete"}
            return summary
        except (KeyboardInterrupt, SystemExit):  # Lightning makes the latter of Ctrl-C and of SIGTERM
            raise KeyboardInterrupt from None
        except Exception as error:
            ending = failure_of(error)
            if not is_nonzero_rank():
                write_failure(folder, {**ending, **trial.labels})
            refused = out_of_memory(error)
            if refused is not None:
                raise MemoryError(refused) from error
            raise
        finally:
            tracker.end_run(**ending)


def _train_and_evaluate(
    trial: Trial, folder: Path, report: Report, tracker: Tracker, callbacks: Sequence[pl.Callback]
) -> dict[str, Any]:
    keep_freed_memory()
    set_arithmetic(trial.config["tf32"], bool(trial.config["trainer"]["deterministic"]))
    if trial.config["threads"] is not None:
        torch.set_num_threads(trial.config["threads"])
    checkpoints = {**trial.config["checkpoint"], "dirpath": str(folder / "checkpoints")}
    cli = make_cli({**trial.config, "checkpoint": checkpoints})
    model, data, trainer = cli.model, cli.datamodule, cli.trainer
    assert isinstance(model, LitSeq2Seq)
    assert isinstance(data, Seq2SeqDataModule)
    trainer.strategy.checkpoint_io = WholeCheckpoints()
    history = History(folder / HISTORY.file)
    before = [
        *_probes(trial, folder, model, data),
        history,
        Progress(report),
        CarriedSettings(trial.portable),
        *callbacks,
    ]
    trainer.callbacks[:0] = before  # type: ignore[attr-defined]
    device = device_name(trainer.strategy.root_device)
    if trial.config["compile"]:
        model.compile()
    if not is_nonzero_rank():
        if data.text is not None:
            _report_text(data.text, folder)
        _write_config(trial, folder / "config.yaml")
        write_environment(folder, device)

    checkpoint, curves = _resume_point(model, data, folder)
    freeze(model, trial.config["freeze"])
    if checkpoint is None:
        for line in warm_start(model, trial.config["init_from"], data):
            if not is_nonzero_rank():
                print(line, file=sys.stderr)
    tracker.begin_run(trainer, model, curves)
    accumulates = trainer.accumulate_grad_batches > 1
    with replayed_steps(model, accumulates) if trial.config["cuda_graphs"] else contextlib.nullcontext() as replayed:
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    if replayed is not None:
        print(replayed.told(), file=sys.stderr)
    steps = trainer.global_step
    best = folder / "checkpoints" / "best.ckpt"
    if not best.exists():
        raise UsageError(
            f"training ended at step {steps}, before the first validation, without a checkpoint; give it more time "
            "(trainer.max_time)"
        )
    load_weights(model, best)
    report(1.0, "evaluating")
    decoding = Decoding(**trial.config["decoding"])
    evaluation = evaluate(trainer, model, data, decoding, lambda note: report(1.0, note))
    summary = {
        "status": "complete",
        **trial.labels,
        "min_train_length": data.min_length,
        "vocabulary": data.vocabulary if data.text is None else data.target_vocab_size,
        "num_params": model.num_params,
        "device": device,
        "threads": torch.get_num_threads(),
        "precision": str(trainer.precision),
        "tf32": trial.config["tf32"],
        "steps": steps,
        "ended": _how_it_ended(trainer),
        "train_examples": data.trained_on,
        "init_from": trial.config["init_from"] and task_of(Path(trial.config["init_from"])),
        "freeze": ", ".join(patterns_of(trial.config["freeze"])) or None,
        "train_seconds": round(history.seconds, 3),
        "version": version("lengthwise"),
        "model": model.options,
        "architecture": model.describe(),
        **evaluation.summary,
    }
    if not is_nonzero_rank():
        write_evaluation(folder, summary["arch"], evaluation)
        write_json(folder / SUMMARY.file, summary)
        tracker.log_trial(summary, model, data)
    return summary


def _probes(trial: Trial, folder: Path, model: LitSeq2Seq, data: Seq2SeqDataModule) -> list[pl.Callback]:
    """What is measured beside training: BLEU of text, and gradient flow where it is asked for."""
    probes: list[pl.Callback] = [ValidationScores(data)] if data.is_translated else []
    if every := trial.config["gradients"]["every"]:
        labels, clipping = trial.labels, trial.config["trainer"]["gradient_clip_val"]
        further = {} if clipping else {"gradient_clip_val": clipping}  # clipping is the default
        measured = variant(model, **further)
        subject = Subject(labels["arch"], measured, labels["task"], labels["train_length"], labels["seed"])
        probes.append(GradientFlow(folder / GRADIENTS.file, subject, every))
    return probes


def _report_text(corpus: TextCorpus, folder: Path) -> None:
    """Keep what was read and what was left out; say the latter, in short, where a person sees it."""
    write_json(folder / "corpus.json", corpus.report())
    for split in SPLITS:
        text = corpus.text(split)
        if text.problems.places:
            print(f"data.{split}: {len(text):,} pairs; left out {text.problems}", file=sys.stderr)


def _write_config(trial: Trial, path: Path) -> None:
    """The configuration, with the version in the first line."""
    with whole_file(path) as partial:
        partial.write_text(f"# lengthwise {version('lengthwise')}\n" + yaml.safe_dump(trial.portable, sort_keys=False))


def _resume_point(model: LitSeq2Seq, data: Seq2SeqDataModule, folder: Path) -> tuple[str | None, list[list[str]]]:
    """The checkpoint to continue from, and the rows of the curves up to it; None and no rows for a trial that begins.

    Where the last checkpoint, the best one or the curves cannot be read, or an earlier version wrote them, the
    checkpoints are set aside and training begins anew.

    Raises:
        OSError: the disk fails, which says nothing of the checkpoints; MemoryError likewise.
    """
    checkpoints = folder / "checkpoints"
    path = last = checkpoints / "last.ckpt"
    if not last.exists():
        return None, []
    try:
        for path in (checkpoints / "best.ckpt", last):
            content = read_checkpoint(path)
            if not fits(content, model, data):
                raise ValueError("of another model, or of other tokenizers")
        path = folder / HISTORY.file
        return str(last), rows_until(path, content["global_step"])
    except Exception as error:
        failing = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        if failing or out_of_memory(error) is not None:
            raise
    if not is_nonzero_rank():
        aside = checkpoints.with_name("checkpoints-unreadable")  # in place of what was set aside before
        shutil.rmtree(aside, ignore_errors=True)
        checkpoints.rename(aside)
        print(f"{path} does not fit or cannot be read; {aside} keeps it; the trial begins anew", file=sys.stderr)
    return None, []


def _how_it_ended(trainer: pl.Trainer) -> str:
    """`converged` where training ended by itself, `budget` where it used up its steps first."""
    stopping = trainer.early_stopping_callback
    return "converged" if isinstance(stopping, EarlyStopping) and stopping.converged else "budget"
