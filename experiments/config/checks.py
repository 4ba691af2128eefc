"""Checks of a trial's options that no constructor makes: what would run foreign code, and what Lightning refuses late.

A configuration or sweep file may come from elsewhere. It can choose among the models of this suite, and names no
other code: no class and no function of its own.
"""

import functools
import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException

from experiments.config.arguments import require_threads
from experiments.config.parser import trial_parser, unknown_model
from experiments.errors import UsageError
from lit_models import architectures

GROUPS = {
    "data": "task",
    "decoding": "method",
    "gradients": "every",
    "trainer": "max_steps",
    "early_stopping": "monitor",
    "checkpoint": "monitor",
}  # of options, and one of each
LARGEST, LARGEST_SEED = 2**63 - 1, 2**32 - 1  # the latter is NumPy's
CHOSEN_OF_CHECKPOINT = ("monitor", "mode", "verbose")
CLASS_KEYS = frozenset(("class_path", "init_args", "dict_kwargs", "help"))  # with which an option names a class
PLAIN_NAME = re.compile(r"[\w-]*")  # of an accelerator or a strategy, say


def refuse_foreign_code(arguments: list[str]) -> None:
    """Refuse options, on the command line or in configuration files, that name classes or functions.

    It comes before parsing, because the parser imports what a name says and so runs it.

    Raises:
        UsageError: one line that names the option, or a configuration file that is not YAML.
    """
    for where, key, value in _given(arguments):
        if value is not None:  # null is what a configuration of an earlier trial has there
            _refuse_foreign(where, key, value)


def _refuse_foreign(where: str, key: str, value: Any) -> None:
    group, *inner = key.split(".")
    if key in ("model", "model.class_path", "model.help"):
        known = value in architectures() or (isinstance(value, str) and value.startswith("lit_models."))
        if isinstance(value, str) and not known:
            raise UsageError(where + unknown_model(value))
    elif key in (*GROUPS, "model.init_args") or group in ("optimizer", "lr_scheduler"):  # a file is read as options
        names = "--trainer.* and --model.*" if group not in GROUPS else f"--{group}.*"
        raise UsageError(f"{where}--{key}: {value} cannot be given; its options are {names}")
    elif group == "config" and where:
        raise UsageError(f"{where}{key}: a configuration file names no other; give several --config FILE")
    elif (group != "model" and CLASS_KEYS & set(inner)) or (key in _class_options() and not _is_plain(value)):
        raise UsageError(f"{where}--{key}: {value} would run other code; a configuration names only values")


@functools.cache
def _class_options() -> frozenset[str]:
    """Options whose value the parser may take for a class, or for a file that names one; it explains the classes."""
    names = trial_parser()._option_string_actions
    return frozenset(name[2:] for name in names if f"{name}.help" in names)


def _is_plain(value: Any) -> bool:
    """Whether a value is a switch, a number or a name in the sense of Lightning, and not the name of a file."""
    if isinstance(value, str):
        return PLAIN_NAME.fullmatch(value) is not None and not Path(value).exists()
    return isinstance(value, int | float)


def _given(arguments: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Where each value stands, its dotted name, and the value, of the command line and of every file it names."""
    for position, argument in enumerate(arguments):
        if argument.startswith("-c"):  # short for --config, with its value behind it or as the next word
            argument = f"--config={argument[2:].removeprefix('=')}" if len(argument) > 2 else "--config"
        if not argument.startswith("--"):
            continue
        name, equals, value = argument[2:].partition("=")
        if not equals:
            value = arguments[position + 1] if position + 1 < len(arguments) else ""
        if name == "config":
            leaves = _flat(f"--config: {value}", "", partial(_configuration, value))
            yield from ((f"{value}: ", *leaf) for leaf in leaves if leaf[0])
        else:
            yield from (("", *leaf) for leaf in _flat(f"--{name}", name.rstrip("+"), partial(_parsed, value)))


def _flat(named: str, name: str, read: Callable[[], Any]) -> list[tuple[str, Any]]:
    try:
        return list(_leaves(name, read()))
    except RecursionError:
        raise UsageError(f"{named}: nested too deeply, or within itself") from None


def _configuration(value: str) -> Any:
    """What --config stands for: the content of a file, or the options themselves."""
    path = Path(value)
    if not path.is_file():
        return _parsed(value)
    try:
        return _loaded(path.read_text(errors="replace"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"--config: {path}: not valid YAML near line {line}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a date and is none
        raise UsageError(f"--config: {path}: not valid YAML: {str(error).partition(chr(10))[0]}") from None


@functools.cache  # the trials of a sweep name the same files and values; what comes back is only read
def _loaded(text: str) -> Any:
    return yaml.safe_load(text)


def _parsed(text: str) -> Any:
    try:
        return _loaded(text)
    except (yaml.YAMLError, ValueError):
        return text  # the parser says what is wrong with it


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """{"data": {"length": 5}} -> ("data.length", 5)"""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(name, inner)
    else:
        yield name, value


def require_groups(parsed: Namespace) -> None:
    """Refuse `data: null` and the like, which the parser takes.

    Raises:
        UsageError: one line that names the group.
    """
    for group, option in GROUPS.items():
        if not isinstance(parsed.get(group), Namespace) or option not in parsed[group]:
            raise UsageError(f"{group}: give options such as {group}.{option}, or leave it out for the defaults")


def check_numbers(parsed: Namespace) -> None:
    """Check seed, threads, and that every whole number fits into 64 bits: before anything is computed with them.

    Raises:
        UsageError: one line that names the option.
    """
    for key, value in _leaves("", parsed.as_dict()):
        if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
            raise UsageError(f"{key.replace('.init_args', '')}: a number beyond {LARGEST:,} cannot be computed with")
    seed = parsed.seed_everything
    if isinstance(seed, bool):
        raise UsageError("seed_everything: a trial needs a number as its seed")
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"seed_everything: {seed} must lie between 0 and {LARGEST_SEED}")
    if parsed.threads is not None:
        require_threads(parsed.threads)


def check_settings(parsed: Namespace) -> None:
    """Check numbers, and what Lightning would refuse only when training begins or not at all.

    Raises:
        UsageError: one line that names the option.
    """
    for key, value in _leaves("", parsed.as_dict()):
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{key.replace('.init_args', '')}: {value} is not a finite number")
    for group in ("early_stopping", "checkpoint"):
        if parsed[group].mode not in ("min", "max"):
            raise UsageError(f"{group}.mode: {parsed[group].mode} is not one of min, max")
    if parsed.early_stopping.patience < 0:
        raise UsageError(f"early_stopping.patience: {parsed.early_stopping.patience} must be at least 0")
    for option, default in _defaults().checkpoint.items():
        if option not in CHOSEN_OF_CHECKPOINT and parsed.checkpoint[option] != default:
            raise UsageError(
                f"checkpoint.{option}: {parsed.checkpoint[option]} cannot be given; "
                "a trial keeps best.ckpt and last.ckpt, to be continued and tested"
            )
    _check_limits(parsed.trainer)
    _check_trainer(json.dumps(parsed.trainer.as_dict(), sort_keys=True, default=str))


def _check_limits(trainer: Namespace) -> None:
    """What Lightning takes and a trial cannot end well with."""
    for option in ("log_every_n_steps", "accumulate_grad_batches"):
        if trainer[option] is not None and trainer[option] < 1:
            raise UsageError(f"trainer.{option}: {trainer[option]} must be at least 1")
    for option in ("limit_train_batches", "limit_val_batches", "limit_test_batches"):
        if trainer[option] not in (None, 1):
            raise UsageError(f"trainer.{option}: {trainer[option]} cannot be given; a trial takes all, which null says")
    if trainer.gradient_clip_val is not None and trainer.gradient_clip_val < 0:
        raise UsageError(f"trainer.gradient_clip_val: {trainer.gradient_clip_val} must be at least 0; null never clips")
    for option, needed in (("fast_dev_run", False), ("enable_checkpointing", True)):
        if trainer[option] not in (None, needed):
            raise UsageError(f"trainer.{option}: {trainer[option]} leaves no checkpoint, and a trial is tested by one")


@functools.cache
def _defaults() -> Namespace:
    return trial_parser().get_defaults()


@functools.cache  # most trials of a sweep have the same
def _check_trainer(options: str) -> None:
    try:
        pl.Trainer(**json.loads(options))
    except (MisconfigurationException, ValueError, TypeError, RuntimeError, KeyError, OverflowError) as error:
        message = re.sub(r"\s+", " ", str(error)).replace("`", "")
        raise UsageError(f"trainer: {message[:300]}") from None
