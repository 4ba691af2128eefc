"""Command lines whose mistakes end in one line."""

from collections.abc import Iterable

import torch

from analysis import arguments
from experiments.errors import UsageError
from lit_models import architectures

MOST_THREADS = 1024


class OneLineParser(arguments.OneLineParser):
    """A parser that raises UsageError instead of printing its usage and leaving."""

    mistake = UsageError


def require_at_least(name: str, value: int, least: int) -> None:
    """Refuse an option's value below the least that makes sense."""
    if value < least:
        raise UsageError(f"--{name}: {value} must be at least {least}")


def require_threads(threads: int) -> None:
    """Refuse numbers of threads that no machine has use for, most of which no system could start."""
    if not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"--threads: {threads} must lie between 1 and {MOST_THREADS}")


def require_device(name: str) -> None:
    """Refuse a device on which nothing can be computed here."""
    try:
        torch.zeros(1, device=name).tolist()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"--device: {name} is not here; use cpu") from None


def require_architectures(names: Iterable[str]) -> None:
    """Refuse a name in --models that no architecture has."""
    for name in names:
        if name not in architectures():
            raise UsageError(f"--models: '{name}' is unknown; the models are {', '.join(architectures())}")
