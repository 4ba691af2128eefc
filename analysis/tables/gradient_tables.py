"""The table of gradient flow: reads and checks every gradients.csv below some folders.

A gradients.csv has the columns `COLUMNS`. The quantity `embedding_gradient` is the norm of the gradient of the loss
at one target position with respect to the embedding of a source token, `distance` recurrent steps away from it;
`jacobian` is the largest singular value of the derivative of the encoder's last state with respect to its state
`distance` steps earlier (Pascanu et al. 2013); `gradient_norm` and `clipped` describe training and have no distance.
"""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.tables.trial_folders import is_trial, walk

COLUMNS = [
    "arch", "variant", "task", "length", "seed", "phase", "step", "quantity", "distance",
    "mean", "low", "high", "sequences",
]  # fmt: skip
KEY = COLUMNS[:9]  # what is measured once
LINE = ["arch", "variant", "task", "length"]  # a line in a figure
EMBEDDING_GRADIENT = "embedding_gradient"
JACOBIAN = "jacobian"
CURVES = (EMBEDDING_GRADIENT, JACOBIAN)  # quantities that have a distance
PHASES = ("initial", "training", "trained")


def read_gradients(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read every gradients.csv at or below the given folders; none at all gives an empty table.

    Returns:
        A table with the columns `COLUMNS`; `variant` is empty for defaults, `distance` missing where there is none.

    Raises:
        ReportError: a path that is no folder, a file that cannot be understood, or two different measurements of
            the same thing.
    """
    return measured_once(read_rows(paths))


def read_rows(paths: Sequence[str | Path]) -> pd.DataFrame:
    """The rows of every file, not yet checked against each other.

    Returns:
        The columns `COLUMNS`, `trial`, the folder's name where it is that of a trial and otherwise empty, and
        `place`, file and line.

    Raises:
        ReportError: a path that is no folder, or a file that cannot be understood.
    """
    tables = [_read(path) for path in _find(paths)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*COLUMNS, "trial", "place"])


def measured_once(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns `COLUMNS` of the rows, repetitions left out.

    Raises:
        ReportError: two different measurements of the same thing; both are named.
    """
    table = rows.drop_duplicates(COLUMNS)
    repeated = table[table.duplicated(KEY, keep=False)].sort_values([*KEY, "place"])
    if len(repeated):
        row = repeated.iloc[0]
        first, second = repeated["place"].iloc[:2]
        raise ReportError(
            f"{first} and {second} measure {row['quantity']} of {line_name(row['arch'], row['variant'])}, "
            f"{row['task']}, length {row['length']}, seed {row['seed']} differently; give only one of them"
        )
    return table[COLUMNS].reset_index(drop=True)


def line_name(arch: str, variant: str) -> str:
    """How an architecture and what sets it apart are called together, such as `GRU [recurrent_init=identity]`."""
    return f"{arch} [{variant}]" if variant else arch


def curves(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The rows of one quantity, with a column `name`; of `initial` and `trained` those of each seed's last step.

    A trial that was trained further after its end has two rows `trained`; the later ones count.
    """
    rows = table[table["quantity"] == quantity].fillna({"variant": ""})
    last = rows.groupby([*LINE, "seed", "phase"])["step"].transform("max")
    rows = rows[(rows["phase"] == "training") | (rows["step"] == last)]
    return rows.assign(name=[line_name(*pair) for pair in zip(rows["arch"], rows["variant"], strict=True)])


def ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at initialisation and after training."""
    return rows[rows["phase"] != "training"]


def longest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the greatest length of each task."""
    return rows[rows["length"] == rows.groupby("task")["length"].transform("max")]


def _find(paths: Sequence[str | Path]) -> Iterator[Path]:
    """Every gradients.csv, each once, in the order of the paths and by name."""
    for folder, _, files in walk(paths, "a folder that holds gradients.csv, or a folder of such"):
        if "gradients.csv" in files:
            yield folder / "gradients.csv"


def _read(path: Path) -> pd.DataFrame:
    table = pd.DataFrame(_cells(path), columns=COLUMNS)
    has_distance = table["quantity"].isin(CURVES)
    for column, whole, needed in (
        ("length", True, True), ("seed", True, True), ("step", True, True), ("distance", True, has_distance),
        ("mean", False, has_distance), ("low", False, has_distance), ("high", False, has_distance),
        ("sequences", True, False),
    ):  # fmt: skip
        table[column] = _numbers(path, table[column], whole, pd.Series(needed, index=table.index))
    _refuse(path, ~table["phase"].isin(PHASES), table["phase"], f"phase is none of {', '.join(PHASES)}")
    for column in ("mean", "low", "high"):
        _refuse(path, has_distance & np.isinf(table[column]), table[column], f"{column} is not a number")
    _refuse(path, has_distance & (table["mean"] <= 0), table["mean"], "mean is not above 0")
    _refuse(path, has_distance & (table["distance"] < 1), table["distance"], "distance is below 1")
    _refuse(path, table["length"] < 1, table["length"], "length is below 1")
    table = table.astype({column: int for column in ("length", "seed", "step")})
    of_trial = is_trial([entry.name for entry in path.parent.iterdir()])
    places = [f"{path} line {number}" for number in range(2, len(table) + 2)]
    return table.assign(trial=path.resolve().parent.name if of_trial else "", place=places)


def _cells(path: Path) -> dict[str, list[str]]:
    """The text of every column."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _corrupt(path, "is not a text file") from error
    if not text.endswith("\n"):
        # A number cut short is still a number; the missing end of line is what gives it away.
        raise _corrupt(path, "ends in the middle of a line" if text else "is empty")
    try:
        header, *lines = csv.reader(io.StringIO(text, newline=""))
    except csv.Error as error:
        raise _corrupt(path, f"is no table: {error}") from error
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise _corrupt(path, f"has no column '{missing[0]}'")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise _corrupt(path, f"line {number} has {len(line)} fields instead of {len(header)}")
    return {column: [line[place] for line in lines] for place, column in enumerate(header)}


def _numbers(path: Path, cells: pd.Series, whole: bool, needed: pd.Series) -> pd.Series:
    """Cells as numbers; an empty one is missing. Where gradients explode, a norm may be infinite or nan."""
    numbers = cells.map(_number).astype(float)
    missing = cells.str.lower().isin(["", "nan"])
    _refuse(path, numbers.isna() & (needed | ~missing), cells, f"{cells.name} is not a number")
    if whole:
        _refuse(path, numbers.notna() & (numbers % 1 != 0), cells, f"{cells.name} is not a whole number")
    return numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _refuse(path: Path, wrong: pd.Series, cells: pd.Series, problem: str) -> None:
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise _corrupt(path, f"line {place + 2}: {problem}: '{cells.iloc[place]}'")


def _corrupt(path: Path, problem: str) -> ReportError:
    return ReportError(f"{path}: {problem}; measure again or move its folder away")
