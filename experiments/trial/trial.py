"""A trial: one configuration run once, in a folder of its own. docs/results.md describes the folder."""

import contextlib
import csv
import hashlib
import inspect
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch.loggers import WandbLogger

from data.datamodule import Seq2SeqDataModule
from data.parallel_text import ParallelFiles
from data.tasks import SPLITS
from data.text import TextCorpus
from experiments.config.checks import check_numbers, check_settings, refuse_foreign_code, require_groups
from experiments.config.decoding_options import Decoding
from experiments.config.monitors import check_monitor
from experiments.config.parser import SOLVED, TrialCLI, parse_config, parse_trial, trial_parser
from experiments.errors import UsageError
from experiments.evaluation.symbol_attention import symbol_attention
from experiments.evaluation.text import ALL, Row, TextResults, describe, evaluate_text, write_attention, write_sentences
from experiments.evaluation.validation_bleu import ValidationBleu
from experiments.files import owned, whole_file, write_json
from experiments.machine import is_follower, keep_freed_memory
from experiments.probes.gradient_callback import GradientFlow
from experiments.probes.gradient_table import Subject, variant
from experiments.tracking.wandb_run import (
    INTERRUPTED,
    begin_run,
    end_run,
    in_sweep,
    tell_again,
    tell_complete,
    tell_results,
    wanted,
)
from experiments.trial.callbacks import EarlyStopping, History, Progress, rows_until
from experiments.trial.checkpoints import CarriedSettings, WholeCheckpoints, load_weights, read_checkpoint
from experiments.trial.environment import device_name, write_environment
from experiments.trial.outcome import ending, out_of_memory, read_summary, write_failure
from experiments.verbs.sizes import pick_width
from lit_models import LitSeq2Seq, architectures

Report = Callable[[float, str], None]

# Teacher-forced figures that mean something of text; free-running text is scored as text.
FORCED = ("loss", "perplexity", "token_accuracy", "padding")

# What says where and how a trial runs, not what it computes: not part of its name.
NOT_IN_NAME = ("config", "runs", "wandb", "wandb_artifacts", "threads", "parameter_budget", "gradients")
NOT_IN_NAME_TRAINER = (
    "accelerator",
    "strategy",
    "devices",
    "num_nodes",
    "logger",
    "callbacks",
    "default_root_dir",
    "enable_progress_bar",
    "enable_model_summary",
    "enable_checkpointing",
    "profiler",
    "log_every_n_steps",
)


# Options that came later, with the default at which they leave the name of a trial as it was before them.
LATER_OPTIONS = {("early_stopping", "halvings"): 0}


@dataclass(frozen=True)
class Trial:
    """A resolved configuration and the name that follows from it.

    Attributes:
        name: name of the trial's folder.
        group: the same without the seed.
        config: the configuration as nested plain values.
        labels: arch, task, train_length and seed.
        cost: relative cost, steps x tokens a step, for estimates of the time.
    """

    name: str
    group: str
    config: dict[str, Any]
    labels: dict[str, Any]
    cost: float

    @property
    def folder(self) -> Path:
        """Where the trial lives."""
        return Path(self.config["runs"]) / self.name


def resolve_trial(arguments: list[str]) -> Trial:
    """Read the options of a trial, fill in defaults and the matched width, and check them all.

    Raises:
        UsageError: one line that names the option. Nothing has been written then.
    """
    refuse_foreign_code(arguments)
    parsed = parse_trial(arguments)
    require_groups(parsed)
    check_numbers(parsed)
    model_class = architectures()[parsed.model.class_path.rpartition(".")[2]]
    data = _checked("data", Seq2SeqDataModule, _data_options(parsed))
    _checked("decoding", Decoding, parsed.decoding.as_dict())
    try:
        if data.text is not None:
            data.text.check()
        sizes = {"source_vocab_size": data.source_vocab_size, "target_vocab_size": data.target_vocab_size}
    except ValueError as error:
        raise UsageError(str(error)) from None
    options = {**parsed.model.init_args.as_dict(), **sizes}
    if parsed.parameter_budget is not None:
        if parsed.model.init_args.hidden_size != _default_width(model_class):
            raise UsageError(
                "--parameter_budget: it chooses model.hidden_size, which is given too; leave one of them out, "
                "or undo the budget of a configuration file with --parameter_budget null"
            )
        try:
            parsed.model.init_args.hidden_size, _ = pick_width(model_class, options, parsed.parameter_budget)
        except ValueError as error:
            raise UsageError(str(error)) from None
        parsed.parameter_budget = None
    else:
        with torch.device("meta"):
            _checked("model", model_class, options)
    _settle_trainer(parsed)
    check_settings(parsed)
    options = {**parsed.model.init_args.as_dict(), **sizes}  # with the width that was picked
    for group in ("early_stopping", "checkpoint"):
        check_monitor(f"{group}.monitor", parsed[group].monitor, data, model_class, options)
    # Valid, as it has been parsed and checked; and Python reads JSON much faster than YAML.
    config = json.loads(trial_parser().dump(parsed, format="json", skip_unset=False, skip_validation=True))
    config["model"]["class_path"] = model_class.__name__
    labels = {
        "arch": model_class.__name__,
        "task": data.name,
        "train_length": data.length,
        "seed": int(parsed.seed_everything),
    }
    cell = "{arch}-{task}-L{train_length}".format(**labels)
    text_key = None if data.text is None else data.text.content_key()
    name = f"{cell}-s{labels['seed']}-{_fingerprint(config, text_key)}"
    seedless = {**config, "seed_everything": None, "data": {**config["data"], "seed": None}}
    group = f"{cell}-{_fingerprint(seedless, text_key)}"
    return Trial(name, group, config, labels, cost=parsed.trainer.max_steps * data.batch_tokens)


def _data_options(parsed: Namespace) -> dict[str, Any]:
    """The options of the DataModule as its constructor takes them."""
    options = parsed.data.as_dict()
    for split in SPLITS:
        if options[split] is not None:
            options[split] = ParallelFiles(**options[split])
    return options


def _default_width(model_class: type[LitSeq2Seq]) -> int | None:
    """The hidden_size of a model nobody has given one."""
    for base in model_class.__mro__:
        parameter = inspect.signature(base.__init__).parameters.get("hidden_size")
        if parameter is not None:
            return parameter.default
    return None


def _checked(part: str, make: type, options: dict[str, Any]) -> Any:
    """Build something from options, with any complaint in one line."""
    for option, kind in _annotations(make).items():
        if options.get(option, ...) is None and not (isinstance(kind, UnionType) and NoneType in kind.__args__):
            raise UsageError(f"{part}.{option}: null is not a value for it")
    try:
        return make(**options)
    except (ValueError, TypeError, RuntimeError, OverflowError, MemoryError) as error:
        message = str(error).partition("\n")[0]
        raise UsageError(message if message.startswith(f"{part}.") else f"{part}: {message}") from None


def _annotations(kind: type) -> dict[str, Any]:
    """Type of every constructor option of a class and its bases."""
    merged: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        merged.update(getattr(vars(base).get("__init__"), "__annotations__", {}))
    return merged


def _settle_trainer(parsed: Namespace) -> None:
    if parsed.trainer.max_steps < 1:
        raise UsageError(
            f"trainer.max_steps: {parsed.trainer.max_steps} must be at least 1; training is counted in steps"
        )
    if parsed.trainer.max_epochs not in (None, -1):
        raise UsageError("trainer.max_epochs: training is counted in steps here; use trainer.max_steps")
    interval = parsed.trainer.val_check_interval
    if not isinstance(interval, int) or interval < 1:
        raise UsageError(f"trainer.val_check_interval: {interval} must be a number of steps, at least 1")
    if parsed.gradients.every < 0:
        raise UsageError(f"gradients.every: {parsed.gradients.every} must be at least 0, which measures nothing")
    stopping = parsed.early_stopping
    if stopping.monitor != "validation/loss" and stopping.stopping_threshold == SOLVED:
        stopping.stopping_threshold = None  # the default is a loss; as a BLEU it would end training at once
    # A short run is validated once, at its end: without that no checkpoint would be chosen.
    parsed.trainer.val_check_interval = min(interval, parsed.trainer.max_steps)


def _fingerprint(config: dict[str, Any], text_key: str | None) -> str:
    """Eight hexadecimal digits of the configuration, less what does not change the result.

    Files of text count by their content, not by where they lie.
    """
    kept = {key: value for key, value in config.items() if key not in NOT_IN_NAME}
    if text_key is not None:
        kept["data"] = {**config["data"], **dict.fromkeys(SPLITS, text_key)}
    for (group, option), default in LATER_OPTIONS.items():
        if kept[group].get(option) == default:
            kept[group] = {key: value for key, value in kept[group].items() if key != option}
    kept["trainer"] = {key: value for key, value in config["trainer"].items() if key not in NOT_IN_NAME_TRAINER}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


def run_trial(trial: Trial, folder: Path, report: Report) -> dict[str, Any]:
    """Train, evaluate at every length, and leave the results in the folder.

    A trial that was stopped half way continues from its last checkpoint; one that is complete is left alone.

    Returns:
        The summary.

    Raises:
        UsageError: the folder cannot be written, or another process runs this trial.
        TrialDiverged: the loss is no longer finite, or has exploded; failure.json says at which step.
        MemoryError: an allocation was refused.
        KeyboardInterrupt: Ctrl-C; the trial can be continued.
        Exception: whatever else went wrong; failure.json says what.
    """
    summary = read_summary(folder)
    if summary is not None:
        if in_sweep() and wanted(trial.config) and not is_follower():
            tell_complete(trial, folder, summary)
        return summary
    with contextlib.nullcontext() if is_follower() else owned(folder, "--runs"):
        if not is_follower():
            (folder / "failure.json").unlink(missing_ok=True)
        try:
            summary = _train_and_evaluate(trial, folder, report)
            end_run(trial, 0)
            return summary
        except (KeyboardInterrupt, SystemExit):  # Lightning makes the latter of Ctrl-C and of SIGTERM
            end_run(trial, INTERRUPTED)
            raise KeyboardInterrupt from None
        except Exception as error:
            if not is_follower():
                write_failure(folder, error, trial.labels)
            end_run(trial, 1, **ending(error))
            refused = out_of_memory(error)
            if refused is not None:
                raise MemoryError(refused) from error
            raise


def _train_and_evaluate(trial: Trial, folder: Path, report: Report) -> dict[str, Any]:
    keep_freed_memory()
    if trial.config["threads"] is not None:
        torch.set_num_threads(trial.config["threads"])
    parsed = parse_config(trial.config)
    parsed.checkpoint.dirpath = str(folder / "checkpoints")
    cli = TrialCLI(parsed)
    model, data, trainer = cli.model, cli.datamodule, cli.trainer
    assert isinstance(model, LitSeq2Seq)
    assert isinstance(data, Seq2SeqDataModule)
    trainer.strategy.checkpoint_io = WholeCheckpoints()
    history = History(folder / "history.csv")
    trainer.callbacks[:0] = [history, Progress(report), CarriedSettings()]  # type: ignore[attr-defined]
    if trial.config["gradients"]["every"]:
        trainer.callbacks.insert(0, _gradient_flow(trial, folder, model))  # type: ignore[attr-defined]
    if data.text is not None:
        trainer.callbacks.insert(0, ValidationBleu(data))  # type: ignore[attr-defined]
        _report_text(data.text, folder)
    logger = None
    if wanted(trial.config) and not is_follower():
        logger = begin_run(trial, folder, model.options, model.num_params)
        trainer.loggers = [logger]
    if trial.config["compile"]:
        model.compile()
    if not is_follower():
        _write_config(trial, folder / "config.yaml")
        write_environment(folder, device_name(trainer.strategy.root_device))

    last = folder / "checkpoints" / "last.ckpt"
    if last.exists():
        _fit_from(trainer, model, data, last)
    else:
        trainer.fit(model, data)
    steps, seconds = trainer.global_step, history.seconds
    load_weights(model, folder / "checkpoints" / "best.ckpt")
    report(1.0, "evaluating")
    rows = evaluate(trainer, model, data)
    if trainer.received_sigterm:  # while testing, Lightning only takes note of it
        raise KeyboardInterrupt
    decoding, text = Decoding(**trial.config["decoding"]), None
    if data.text is not None and not is_follower():
        text = _evaluate_text(model, data, decoding, folder, report)
        rows.extend(text.rows)
    elif not is_follower():
        _keep_attention(model, data, folder)
    summary = {
        "status": "complete",
        **trial.labels,
        "min_train_length": data.min_length,
        "vocabulary": data.vocabulary,
        "num_params": model.num_params,
        "device": device_name(trainer.strategy.root_device),
        "threads": torch.get_num_threads(),
        "precision": str(trainer.precision),
        "steps": steps,
        "ended": _how_it_ended(trainer),
        "train_seconds": round(seconds, 3),
        "version": version("lengthwise"),
        "model": model.options,
    }
    if text is not None:
        summary |= describe(data, decoding, text)
    if not is_follower():
        write_results(folder / "results.csv", rows)
        write_json(folder / "summary.json", summary)
    if logger is not None:
        _tell_wandb(logger, trial, folder, model, data, summary)
    return summary


def _how_it_ended(trainer: pl.Trainer) -> str:
    """`converged` where training ended by itself, `budget` where it used up its steps first."""
    stopping = trainer.early_stopping_callback
    return "converged" if isinstance(stopping, EarlyStopping) and stopping.converged else "budget"


def _tell_wandb(
    logger: WandbLogger, trial: Trial, folder: Path, model: LitSeq2Seq, data: Seq2SeqDataModule, summary: dict[str, Any]
) -> None:
    from experiments.tracking.wandb_media import tell_artifacts, tell_files, tell_samples  # drawing is slow to import

    tell_results(logger, folder, summary)
    if data.text is None:
        tell_samples(logger, model, data)
    tell_files(logger, folder)
    if trial.config["wandb_artifacts"]:
        tell_artifacts(logger, trial.name, folder, data)


def _gradient_flow(trial: Trial, folder: Path, model: LitSeq2Seq) -> GradientFlow:
    """The callback; training without clipping is a variant, as clipping is the default."""
    labels, clipping = trial.labels, trial.config["trainer"]["gradient_clip_val"]
    further = {} if clipping else {"gradient_clip_val": clipping}
    subject = Subject(labels["arch"], variant(model, **further), labels["task"], labels["train_length"], labels["seed"])
    return GradientFlow(folder / "gradients.csv", subject, trial.config["gradients"]["every"])


def _evaluate_text(
    model: LitSeq2Seq, data: Seq2SeqDataModule, decoding: Decoding, folder: Path, report: Report
) -> TextResults:
    assert data.text is not None
    finished, total = Counter[str](), len(data.text.text("test"))

    def done(task: str, sentences: int) -> None:
        finished[task] += sentences
        report(1.0, f"{task} the test split, {finished[task]:,} of {total:,} sentences")

    results = evaluate_text(model, data, decoding, done)
    write_sentences(folder / "sentences.csv", results.sentences)
    if results.attention:
        arch = type(model).__name__
        write_attention(folder / "attention.json", arch, f"{arch}-{data.length}", results.attention)
    return results


def _keep_attention(model: LitSeq2Seq, data: Seq2SeqDataModule, folder: Path) -> None:
    """Where the model looks in examples of a task on symbols."""
    if examples := symbol_attention(model, data):
        arch = type(model).__name__
        write_attention(folder / "attention.json", arch, f"{arch}, {data.task} {data.length}", examples)


def _report_text(corpus: TextCorpus, folder: Path) -> None:
    """Keep what was read and what was left out; say the latter, in short, where a person sees it."""
    if is_follower():
        return
    write_json(folder / "corpus.json", corpus.report())
    for split in SPLITS:
        text = corpus.text(split)
        if text.problems.places:
            print(f"data.{split}: {len(text):,} pairs; left out {text.problems}", file=sys.stderr)


def _fit_from(trainer: pl.Trainer, model: LitSeq2Seq, data: Seq2SeqDataModule, last: Path) -> None:
    """Continue from a checkpoint; where it, the best one or the curves cannot be read, or an earlier version wrote
    them, the checkpoints are set aside and training begins anew. A disk that fails or too little memory says nothing
    of them: that is raised."""
    read = last
    try:
        for read in (last.with_name("best.ckpt"), last):
            saved = read_checkpoint(read)
            if _shapes(saved["state_dict"]) != _shapes(model.state_dict()):
                raise ValueError("of another model")
        read = last.parent.parent / "history.csv"
        curves = rows_until(read, saved["global_step"])
    except Exception as error:
        failing = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        if failing or out_of_memory(error) is not None:
            raise
        if not is_follower():
            aside = _set_aside(last.parent)
            print(f"{read} does not fit or cannot be read; {aside} keeps it; the trial begins anew", file=sys.stderr)
        trainer.fit(model, data)
    else:
        tell_again(trainer.loggers, curves)
        trainer.fit(model, data, ckpt_path=str(last), weights_only=True)


def _set_aside(checkpoints: Path) -> Path:
    """Rename the folder of checkpoints, in place of what was set aside before."""
    aside = checkpoints.with_name("checkpoints-unreadable")
    shutil.rmtree(aside, ignore_errors=True)
    return checkpoints.rename(aside)


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}


def evaluate(trainer: pl.Trainer, model: LitSeq2Seq, data: Seq2SeqDataModule) -> list[Row]:
    """Test at every length of the data; text as a whole, teacher-forced."""
    trainer.test(model, data, verbose=False)
    if data.text is not None:
        [metrics] = model.test_metrics
        values = metrics.compute()  # type: ignore[operator]
        longest = int(data.text.lengths("test").max())
        return [Row(ALL, longest, None, name, value) for name, value in values.items() if name in FORCED]
    rows: list[Row] = []
    for length, metrics in zip(data.eval_lengths, model.test_metrics, strict=True):
        values = metrics.compute()  # type: ignore[operator]
        rows.extend(Row("", length, None, name, value) for name, value in values.items())
        by_position = metrics.by_position.compute()  # type: ignore[operator, union-attr]
        rows.extend(
            Row("", length, position, "greedy_token_accuracy_by_position", float(value))
            for position, value in enumerate(by_position, start=1)
            if not value.isnan()
        )
    return rows


def write_results(path: Path, rows: list[Row]) -> None:
    """Write the table of a trial, whole or not at all."""
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "eval_length", "bucket", "position", "metric", "value"))
        for row in rows:
            position = "" if row.position is None else row.position
            writer.writerow(("test", row.eval_length, row.bucket, position, row.metric, repr(float(row.value))))


def _write_config(trial: Trial, path: Path) -> None:
    """The configuration without what belongs to this machine; the version in the first line."""
    config = {key: value for key, value in trial.config.items() if key not in ("config", "runs")}
    with whole_file(path) as partial:
        partial.write_text(f"# lengthwise {version('lengthwise')}\n" + yaml.safe_dump(config, sort_keys=False))
