"""The table of gradient flow: reads and checks every gradients.csv below some folders.

The quantity `embedding_gradient` of a gradients.csv is the norm of the gradient of the loss
at one target position with respect to the embedding of a source token, `distance` recurrent steps away from it;
`jacobian` is the largest singular value of the derivative of the encoder's last state with respect to its state
`distance` steps earlier (Pascanu et al. 2013); `gradient_norm` and `clipped` describe training and have no distance.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.errors import ReportError
from analysis.tables.readers import joined, read_csv
from analysis.tables.schema import GRADIENTS
from analysis.tables.trial_folders import files_named, is_trial

KEY = GRADIENTS.names[:9]  # what is measured once
LINE = ["arch", "variant", "task", "length"]  # a line in a figure


def read_gradients(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read every gradients.csv at or below the given folders; none at all gives an empty table.

    Returns:
        The columns of `GRADIENTS`; `variant` is empty for defaults, `distance` missing where there is none.

    Raises:
        ReportError: a path that is no folder, a file that cannot be understood, or two different measurements of
            the same thing.
    """
    return measured_once(read_rows(paths))


def read_rows(paths: Sequence[str | Path]) -> pd.DataFrame:
    """The rows of every file, not yet checked against each other.

    Returns:
        The columns of `GRADIENTS`, `trial`, the folder's name where it is that of a trial and otherwise empty, and
        `place`, file and line.

    Raises:
        ReportError: a path that is no folder, or a file that cannot be understood.
    """
    return joined([*GRADIENTS.names, "trial", "place"], map(_read, files_named(GRADIENTS.file, paths)))


def measured_once(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of `GRADIENTS` of the rows, repetitions left out.

    Raises:
        ReportError: two different measurements of the same thing; both are named.
    """
    table = rows.drop_duplicates(GRADIENTS.names)
    repeated = table[table.duplicated(KEY, keep=False)].sort_values([*KEY, "place"])
    if len(repeated):
        row = repeated.iloc[0]
        first, second = repeated["place"].iloc[:2]
        raise ReportError(
            f"{first} and {second} measure {row['quantity']} of {line_name(row['arch'], row['variant'])}, "
            f"{row['task']}, length {row['length']}, seed {row['seed']} differently; give only one of them"
        )
    return table[GRADIENTS.names].reset_index(drop=True)


def line_name(arch: str, variant: str) -> str:
    """How an architecture and what sets it apart are called together, such as `GRU [recurrent_init=identity]`."""
    return f"{arch} [{variant}]" if variant else arch


def line_names(rows: pd.DataFrame) -> list[str]:
    """The names of the lines that rows belong to."""
    return [line_name(arch, variant) for arch, variant in zip(rows["arch"], rows["variant"].fillna(""), strict=True)]


def curves(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The rows of one quantity, with a column `name`; of `initial` and `trained` those of each seed's last step.

    A trial that was trained further after its end has two rows `trained`; the later ones count.
    """
    rows = table[table["quantity"] == quantity].fillna({"variant": ""})
    last = rows.groupby([*LINE, "seed", "phase"])["step"].transform("max")
    rows = rows[(rows["phase"] == "training") | (rows["step"] == last)]
    return rows.assign(name=line_names(rows))


def ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at initialisation and after training."""
    return rows[rows["phase"] != "training"]


def longest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the greatest length of each task."""
    return rows[rows["length"] == rows.groupby("task")["length"].transform("max")]


def _read(path: Path) -> pd.DataFrame:
    table = read_csv(path, GRADIENTS)
    of_trial = is_trial([entry.name for entry in path.parent.iterdir()])
    places = [f"{path} line {number}" for number in range(2, len(table) + 2)]
    table = table.assign(trial=path.resolve().parent.name if of_trial else "", place=places)
    return table.astype({"distance": float, "sequences": float})
