"""Command lines whose mistakes end in one line."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from experiments.errors import UsageError
from lit_models import architectures


class OneLineParser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of printing its usage and leaving."""

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> Any:  # type: ignore[override]
        """Also refuses `--option=--`, which argparse up to Python 3.12 takes for an empty list."""
        for argument in args:
            if argument.startswith("--") and argument.endswith("=--"):
                self.error(f"{argument.removesuffix('=--')}: -- is no value for it")
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.removeprefix("argument "))


def require_at_least(name: str, value: int, least: int) -> None:
    """Refuse an option's value below the least that makes sense."""
    if value < least:
        raise UsageError(f"--{name}: {value} must be at least {least}")


def require_architectures(names: Iterable[str]) -> None:
    """Refuse a name in --models that no architecture has."""
    for name in names:
        if name not in architectures():
            raise UsageError(f"--models: '{name}' is unknown; the models are {', '.join(architectures())}")
