"""Checks of a trial's options that no constructor makes: what would run foreign code, and what Lightning refuses late.

A configuration or sweep file may come from elsewhere. It can choose among the models of this suite, and names no
other code: no class and no function of its own.
"""

import functools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException

from experiments.cli import unknown_model
from experiments.errors import UsageError
from lit_models import architectures

IMPORTED = ("trainer", "optimizer", "lr_scheduler", "early_stopping", "checkpoint")  # the parser imports what they name
GROUPS = {
    "data": "task",
    "decoding": "method",
    "gradients": "every",
    "trainer": "max_steps",
    "early_stopping": "monitor",
    "checkpoint": "monitor",
}  # of options, and one of each
PATHS = ("trainer.default_root_dir", "checkpoint.dirpath", "checkpoint.filename")
DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")


def refuse_foreign_code(arguments: list[str]) -> None:
    """Refuse options, on the command line or in configuration files, that name classes or functions.

    It comes before parsing, because the parser imports what a name says and so runs it.

    Raises:
        UsageError: one line that names the option.
    """
    for where, key, value in _given(arguments):
        group = key.partition(".")[0]
        if key in ("model", "model.class_path"):
            known = value in architectures() or (isinstance(value, str) and value.startswith("lit_models."))
            if isinstance(value, str) and not known:
                raise UsageError(where + unknown_model(value))
        elif key == "trainer" or group in ("optimizer", "lr_scheduler"):
            if value is not None:  # null is what a configuration of an earlier trial has there
                raise UsageError(f"{where}--{key}: {value} cannot be given; its options are --trainer.* and --model.*")
        elif group in IMPORTED and key not in PATHS and isinstance(value, str) and DOTTED.fullmatch(value):
            raise UsageError(f"{where}--{key}: {value} would run other code; a configuration names only values")


def _given(arguments: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Where each value stands, its dotted name, and the value, of the command line and of every file it names."""
    for position, argument in enumerate(arguments):
        if not argument.startswith("--"):
            continue
        name, equals, value = argument[2:].partition("=")
        if not equals:
            value = arguments[position + 1] if position + 1 < len(arguments) else ""
        content = _parsed(value)
        if name == "config":
            path = Path(value)
            settings = _parsed(path.read_text(errors="replace")) if path.is_file() else content
            yield from ((f"{value}: ", *leaf) for leaf in _leaves("", settings) if leaf[0])
        else:
            yield from (("", *leaf) for leaf in _leaves(name.rstrip("+"), content))


@functools.cache  # the trials of a sweep name the same files and values; what comes back is only read
def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
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


def check_settings(parsed: Namespace) -> None:
    """Check numbers, and what Lightning would refuse only when training begins.

    Raises:
        UsageError: one line that names the option.
    """
    for key, value in _leaves("", parsed.as_dict()):
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{key.replace('.init_args', '')}: {value} is not a finite number")
    for group in ("early_stopping", "checkpoint"):
        options = parsed[group]
        if options.mode not in ("min", "max"):
            raise UsageError(f"{group}.mode: {options.mode} is not one of min, max")
        if options.monitor is None or not options.monitor.startswith("validation/"):
            raise UsageError(f"{group}.monitor: {options.monitor} is no metric of validation, such as validation/loss")
    _check_trainer(json.dumps(parsed.trainer.as_dict(), sort_keys=True, default=str))


@functools.cache  # most trials of a sweep have the same
def _check_trainer(options: str) -> None:
    try:
        pl.Trainer(**json.loads(options))
    except (MisconfigurationException, ValueError, TypeError, RuntimeError, KeyError, OverflowError) as error:
        message = re.sub(r"\s+", " ", str(error)).replace("`", "")
        raise UsageError(f"trainer: {message[:300]}") from None
