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
        """Also refuses `--option=--`, which argparse up to Python 3.12 takes for an empty list."""
        args = sys.argv[1:] if args is None else args
        for argument in args:
            if argument.startswith("--") and argument.endswith("=--"):
                self.error(f"{argument.removesuffix('=--')}: -- is no value for it")
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise self.mistake(message.removeprefix("argument "))
