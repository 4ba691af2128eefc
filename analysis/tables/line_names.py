"""Gradient flow and results of the same trial carry the same name, so that one can be drawn beside the other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis.tables.architectures import options_of
from analysis.tables.gradient_tables import measured_once, read_rows
from analysis.tables.trial_folders import Runs, find_trials, load_runs
from analysis.tables.variants import tell_variants_apart


def with_gradients(
    paths: Sequence[str | Path], runs: Runs, known: Mapping[str, str] | None = None
) -> tuple[Runs, pd.DataFrame]:
    """Every gradients.csv below the folders, and the runs with their variants told apart.

    What gradients.csv calls the variant of a trial names the line of its results too; where that does not tell
    trials apart, options do, and the table of gradients takes on their names.

    Args:
        paths: folders.
        runs: the trials in them.
        known: what sets a trial apart, by its name, where that is known from elsewhere.

    Raises:
        ReportError: as `read_gradients` and `tell_variants_apart` raise it.
    """
    rows = read_rows(paths)
    of_trials = rows[rows["trial"] != ""].drop_duplicates("trial")
    in_gradients = dict(zip(of_trials["trial"], of_trials["variant"], strict=True))
    runs = tell_variants_apart(runs, {**(known or {}), **in_gradients})
    return runs, measured_once(_renamed(rows, runs.trials))


def gradients_and_results(paths: Sequence[str | Path]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Every gradients.csv and the tidy table of the complete trials below the folders; None without any.

    Raises:
        ReportError: bad input, named in one line.
    """
    if not any((folder / "summary.json").is_file() for folder in find_trials(paths)):
        return measured_once(read_rows(paths)), None
    runs, table = with_gradients(paths, load_runs(paths))
    return table, runs.results


def _renamed(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Rows of complete trials with the variant that the name of the trial's architecture states."""
    variants = {
        trial: options_of(label) for trial, label in trials[["trial", "arch"]].itertuples(index=False, name=None)
    }
    named = rows["trial"].map(variants)
    return rows.assign(variant=named.where(named.notna(), rows["variant"]))
