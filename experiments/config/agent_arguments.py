"""Command lines as a W&B agent writes them: options in any order, None for null, 256.0 for a whole number."""

import functools
import re
import typing
from types import NoneType
from typing import Any

from jsonargparse import ArgumentParser

from lit_models import architectures

WHOLE_NUMBER = re.compile(r"(--[\w.]+)=(-?\d+)\.0")


def in_order(arguments: list[str]) -> list[str]:
    """Move `--config FILE` and then `--model NAME` before all options: the parser needs a model before its options, and
    what stands in a file must not undo what stands beside it."""
    configs, rest = _split_off(("--config", "-c"), arguments)
    names, rest = _split_off(("--model",), rest)
    return configs + names + rest


def as_spelt(arguments: list[str], parser: ArgumentParser) -> list[str]:
    """Spell values as the parser reads them.

    Args:
        arguments: options written as `--name=value`; others are left alone.
        parser: that of a trial.
    """
    return [_spelt(argument, parser) for argument in arguments]


def _spelt(argument: str, parser: ArgumentParser) -> str:
    if argument.startswith("--") and argument.endswith("=None"):
        return argument.removesuffix("None") + "null"
    match = WHOLE_NUMBER.fullmatch(argument)
    if match and match[1] in _whole_number_options(parser):
        return f"{match[1]}={match[2]}"
    return argument


@functools.cache
def _whole_number_options(parser: ArgumentParser) -> frozenset[str]:
    """Options that take an integer and no fraction."""
    parsers = [parser]
    for model in architectures().values():
        parsers.append(ArgumentParser())
        parsers[-1].add_class_arguments(model, "model")
    return frozenset(
        option for each in parsers for option, action in each._option_string_actions.items() if _is_whole(action)
    )


def _is_whole(action: Any) -> bool:
    kind = getattr(action, "_typehint", None) or action.type
    return set(typing.get_args(kind) or (kind,)) in ({int}, {int, NoneType}, {int, bool})


def _split_off(options: tuple[str, ...], arguments: list[str]) -> tuple[list[str], list[str]]:
    """Every `option VALUE` and `option=VALUE` of one option's names, and the rest."""
    taken, rest, pending = [], [], False
    for argument in arguments:
        if pending or argument.partition("=")[0] in options:
            taken.append(argument)
            pending = not pending and argument in options
        else:
            rest.append(argument)
    return taken, rest
