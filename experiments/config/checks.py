"""Checks of a trial's options that no constructor makes, such as of what Lightning refuses late or not at all."""

import functools
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException

from data.batch import decode_limits
from data.datamodule import Seq2SeqDataModule
from data.tasks import TASKS
from experiments.config.arguments import require_threads
from experiments.config.options import options_of
from experiments.config.parser import trial_parser
from experiments.errors import UsageError
from lit_models import LitSeq2Seq, architectures

LARGEST, LARGEST_SEED = 2**63 - 1, 2**32 - 1  # the latter is NumPy's
CHOSEN_OF_CHECKPOINT = ("monitor", "mode", "verbose")


def check_numbers(parsed: Namespace) -> None:
    """Check seed, threads, and that every whole number fits into 64 bits: before anything is computed with them.

    Raises:
        UsageError: one line that names the option.
    """
    for key, value in _values(parsed):
        if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            raise UsageError(f"{key}: a number beyond {LARGEST:,} cannot be computed with")
    seed = parsed.seed_everything
    if isinstance(seed, bool):
        raise UsageError("seed_everything: a trial needs a number as its seed")
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"seed_everything: {seed} must lie between 0 and {LARGEST_SEED}")
    if parsed.threads is not None:
        require_threads(parsed.threads)


def check_settings(model: str, parsed: Namespace) -> None:
    """Check numbers, and what Lightning would refuse only when training begins or not at all.

    Raises:
        UsageError: one line that names the option.
    """
    for key, value in _values(parsed):
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{key}: {value} is not a finite number")
    for group in ("early_stopping", "checkpoint"):
        if parsed[group].mode not in ("min", "max"):
            raise UsageError(f"{group}.mode: {parsed[group].mode} is not one of min, max")
    for option in ("patience", "halvings"):
        if parsed.early_stopping[option] < 0:
            raise UsageError(f"early_stopping.{option}: {parsed.early_stopping[option]} must be at least 0")
    for option, default in _defaults(model).checkpoint.items():
        if option not in CHOSEN_OF_CHECKPOINT and parsed.checkpoint[option] != default:
            raise UsageError(
                f"checkpoint.{option}: {parsed.checkpoint[option]} cannot be given; "
                "a trial keeps best.ckpt and last.ckpt, to be continued and tested"
            )
    _check_limits(parsed.trainer)
    _check_trainer(json.dumps(parsed.trainer.as_dict(), sort_keys=True, default=str))


def check_graphs(parsed: Namespace) -> None:
    """Refuse what training steps are not replayed on or with.

    Raises:
        UsageError: one line that names the option.
    """
    if not parsed.cuda_graphs:
        return
    trainer = parsed.trainer
    for option, value, refused in (
        ("trainer.accelerator", trainer.accelerator, trainer.accelerator == "cpu"),
        ("trainer.devices", trainer.devices, trainer.devices not in (1, "1")),
        ("trainer.num_nodes", trainer.num_nodes, trainer.num_nodes > 1),
        ("compile", "true", parsed.compile),
    ):
        if refused:
            raise UsageError(f"--cuda_graphs: it needs one GPU and no compiler, but {option} is {value}")


def check_task(model: type[LitSeq2Seq], options: dict[str, Any], data: Seq2SeqDataModule) -> None:
    """Refuse a model that cannot give as many outputs as the task asks for, or take its longest sequences. How long
    those of text are is not known.

    Raises:
        UsageError: one line that names the option.
    """
    if data.outputs not in model.outputs:
        able = [name for name, other in architectures().items() if data.outputs in other.outputs]
        raise UsageError(
            f"--model: {model.__name__} gives an output for each source token, or one in all; {data.name} asks for "
            f"another number (data.task). The models that can are {', '.join(able)}"
        )
    if data.text is not None:
        return
    longest = data.eval_lengths[-1]
    try:
        task = TASKS[data.task]
        source, target = task.longest_source(longest), task.longest_target(longest) + 1
        if task.answers:  # then an output may be as long as it likes
            target = max(target, decode_limits(source))
        model.check_lengths(source, target, options)
    except ValueError as error:
        raise UsageError(f"{error}; the longest tested has {longest} (data.eval_lengths)") from None
    try:
        source, target = task.longest_source(data.length), task.longest_target(data.length) + 1
        model.check_lengths(data.padded(source), data.padded(target), options)
    except ValueError as error:
        raise UsageError(f"{error}; so long are the longest in training (data.length, data.pad_to_multiple)") from None


def _check_limits(trainer: Namespace) -> None:
    """What Lightning takes and a trial cannot end well with."""
    for option in ("log_every_n_steps", "accumulate_grad_batches"):
        if trainer[option] is not None and trainer[option] < 1:
            raise UsageError(f"trainer.{option}: {trainer[option]} must be at least 1")
    for option in ("limit_train_batches", "limit_val_batches", "limit_test_batches"):
        if trainer[option] not in (None, 1):
            raise UsageError(f"trainer.{option}: {trainer[option]} cannot be given; a trial takes all, which null says")
    for option, unset, instead in (
        ("overfit_batches", 0, "data.train_examples makes the training examples few"),
        ("check_val_every_n_epoch", None, "validations are counted in steps, by trainer.val_check_interval"),
    ):
        if trainer[option] != unset:
            raise UsageError(f"trainer.{option}: {trainer[option]} cannot be given; {instead}")
    if trainer.gradient_clip_val is not None and trainer.gradient_clip_val < 0:
        raise UsageError(f"trainer.gradient_clip_val: {trainer.gradient_clip_val} must be at least 0; null never clips")
    for option, needed in (("fast_dev_run", False), ("enable_checkpointing", True)):
        if trainer[option] not in (None, needed):
            raise UsageError(f"trainer.{option}: {trainer[option]} leaves no checkpoint, and a trial is tested by one")


def _values(parsed: Namespace) -> Iterator[tuple[str, Any]]:
    """The name of every option with its value, or with each of a list."""
    for option in options_of(parsed.as_dict()):
        for value in option.value if isinstance(option.value, list) else [option.value]:
            yield option.name, value


@functools.cache
def _defaults(model: str) -> Namespace:
    return trial_parser(model).get_defaults()


@functools.cache  # most trials of a sweep have the same
def _check_trainer(options: str) -> None:
    try:
        pl.Trainer(**json.loads(options))
    except (MisconfigurationException, ValueError, TypeError, RuntimeError, KeyError, OverflowError) as error:
        message = re.sub(r"\s+", " ", str(error)).replace("`", "")
        raise UsageError(f"trainer: {message[:300]}") from None
