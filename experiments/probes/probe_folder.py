"""The folder that a probe fills: its table, and beside it what was measured, and with what."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from analysis.errors import ReportError
from analysis.tables.architectures import Architecture, Architectures
from analysis.tables.schema import ARCHITECTURES
from experiments.errors import UsageError
from experiments.files import exclusive_lock, write_csv
from experiments.trial.environment import write_environment
from lit_models import LitSeq2Seq


@contextlib.contextmanager
def probe_folder(folder: Path) -> Iterator[None]:
    """Have the folder of --output to oneself.

    Raises:
        UsageError: the folder cannot be written, is in use, or no report can be made of what it holds.
    """
    with exclusive_lock(folder, "--output"):
        try:
            yield
        except UsageError:
            raise
        except OSError as error:
            raise UsageError(f"--output: cannot write {folder}: {error.strerror}") from None
        except ReportError as error:
            raise UsageError(f"--output: {error}") from None


def write_origin(folder: Path, models: Iterable[type[LitSeq2Seq]], device: str) -> Architectures:
    """Write environment.json and architectures.csv, which say with what and of what a table's numbers are.

    Args:
        folder: of the table.
        models: the classes of what was measured.
        device: the name of what the numbers were computed on.

    Returns:
        What the classes say of themselves.
    """
    write_environment(folder, device)
    stated = [
        Architecture(model.__name__, *(getattr(model, name) for name in Architecture._fields[1:]))
        for model in dict.fromkeys(models)
    ]
    write_csv(folder / ARCHITECTURES.file, ARCHITECTURES.names, stated)
    return Architectures(stated)
