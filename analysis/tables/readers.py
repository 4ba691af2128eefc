"""Reading the CSV tables and JSON objects of the schema.

What is wrong is said in one way: file, line, column, value, and what to do.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.tables.schema import Table

COMPRESSED = ".gz"


def corrupt(path: Path, problem: str, table: Table) -> ReportError:
    """The error that a file is not what the schema says."""
    return ReportError(f"{path}: {problem}; {table.remedy}")


def read_json(path: Path, table: Table) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ReportError: a file that cannot be read or is no JSON object.
    """
    try:
        content = json.loads(_text(path, table))
    except ValueError as error:
        raise corrupt(path, "is no valid JSON", table) from error
    if not isinstance(content, dict):
        raise corrupt(path, "is not a JSON object", table)
    return content


def check_keys(path: Path, content: Mapping[str, Any], table: Table) -> None:
    """Compare a JSON object with the schema.

    Raises:
        ReportError: a key that is missing, or a value that is not what its key holds.
    """
    try:
        for column in table.columns:
            column.check(content)
    except ValueError as error:
        raise corrupt(path, str(error), table) from error


def read_csv(path: Path, table: Table, unfinished: bool = False) -> pd.DataFrame:
    """A CSV table with the columns of the schema; other columns are left out.

    Args:
        path: the file.
        table: its schema.
        unfinished: whether the file may be one that is still being written, or was when its writer was killed. Its
            last line may then be cut short, which is left out.

    Raises:
        ReportError: a file that cannot be read, a column that is missing, or a cell that is not what it should be.
    """
    text = _text(path, table)
    if unfinished:
        text = text[: text.rfind("\n") + 1] or ",".join(table.names) + "\n"
    if not text.endswith("\n"):
        # A number cut short is still a number; the missing end of line is what gives it away.
        raise corrupt(path, "ends in the middle of a line" if text else "is empty", table)
    try:
        # Not splitlines: a translation may hold characters that it takes for the end of a line.
        header, *lines = csv.reader(io.StringIO(text, newline=""))
    except csv.Error as error:
        raise corrupt(path, f"is no table: {error}", table) from error
    missing = [column.name for column in table.columns if column.name not in header and column.default is None]
    if missing:
        raise corrupt(path, f"has no column '{missing[0]}'", table)
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise corrupt(path, f"line {number} has {len(line)} fields instead of {len(header)}", table)
    if not lines:
        return pd.DataFrame(columns=table.names)
    return _parsed(path, table, dict(zip(header, zip(*lines, strict=True), strict=True)), len(lines))


def joined(columns: list[str], frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames, in these columns."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True)[columns] if filled else pd.DataFrame(columns=columns)


def is_there(path: Path) -> bool:
    """Whether there is a file, as it is or compressed."""
    return path.is_file() or compressed(path).is_file()


def compressed(path: Path) -> Path:
    """Where a large table lies compressed: results.csv.gz in place of results.csv."""
    return path.with_name(path.name + COMPRESSED)


def _text(path: Path, table: Table) -> str:
    try:
        if path.exists() or not compressed(path).is_file():
            return path.read_text(encoding="utf-8")
        return gzip.decompress(compressed(path).read_bytes()).decode("utf-8")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise corrupt(compressed(path), "is no whole gzip file", table) from error
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise corrupt(path, "is not a text file", table) from error


def _parsed(path: Path, table: Table, cells: Mapping[str, Sequence[str]], rows: int) -> pd.DataFrame:
    columns = {}
    for column in table.columns:
        texts = cells.get(column.name, (column.default or "",) * rows)
        values: dict[str, Any] = {}
        for text in dict.fromkeys(texts):  # each text once: most columns repeat a few
            try:
                values[text] = column.parse(text)
            except ValueError as error:
                raise corrupt(path, f"line {texts.index(text) + 2}: {error}", table) from error
        columns[column.name] = [values[text] for text in texts]
    if table.check:
        for number, row in enumerate(zip(*columns.values(), strict=True), start=2):
            try:
                table.check(dict(zip(columns, row, strict=True)))
            except ValueError as error:
                raise corrupt(path, f"line {number}: {error}", table) from error
    return pd.DataFrame({column.name: _series(column.kind, columns[column.name]) for column in table.columns})


def _series(kind: type, values: list[Any]) -> pd.Series:
    """Objects and truth values stay what they are; a column of numbers that are all missing is one of numbers."""
    if kind in (bool, dict) or (kind is str and None in values):
        return pd.Series(values, dtype=object)
    if kind is float or (kind is int and all(value is None for value in values)):
        return pd.Series(values, dtype=float)
    return pd.Series(values)
