"""Command lines whose mistakes end in one line."""

from collections.abc import Iterable

from analysis import arguments
from experiments.errors import UsageError
from lit_models import architectures


class OneLineParser(arguments.OneLineParser):
    """A parser that raises UsageError instead of printing its usage and leaving."""

    mistake = UsageError


def require_at_least(name: str, value: int, least: int) -> None:
    """Refuse an option's value below the least that makes sense."""
    if value < least:
        raise UsageError(f"--{name}: {value} must be at least {least}")


def require_architectures(names: Iterable[str]) -> None:
    """Refuse a name in --models that no architecture has."""
    for name in names:
        if name not in architectures():
            raise UsageError(f"--models: '{name}' is unknown; the models are {', '.join(architectures())}")
