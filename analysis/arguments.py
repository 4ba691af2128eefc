"""Command lines whose mistakes end in one line."""

import argparse
from typing import NoReturn

from analysis.errors import ReportError


class OneLineParser(argparse.ArgumentParser):
    """A parser that raises ReportError instead of printing its usage and leaving."""

    def error(self, message: str) -> NoReturn:
        raise ReportError(message.removeprefix("argument "))
