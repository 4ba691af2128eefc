"""Command lines whose mistakes end in one line."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from analysis.errors import ReportError


class OneLineParser(argparse.ArgumentParser):
    """A parser that raises its `mistake` instead of printing its usage and leaving."""

    mistake: type[Exception] = ReportError

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Also refuses `--option=--`, which argparse up to Python 3.12 takes for an empty list, and an unknown
        `--option=value with spaces`, which argparse takes for a positional argument."""
        args = sys.argv[1:] if args is None else args
        for argument in args:
            name, equals, value = argument.partition("=")
            if not (argument.startswith("--") and equals):
                continue
            if value == "--":
                self.error(f"{name}: -- is no value for it")
            if " " in value and not any(option.startswith(name) for option in self._option_string_actions):
                self.error(f"unrecognized arguments: {argument}")
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise self.mistake(message.removeprefix("argument "))
