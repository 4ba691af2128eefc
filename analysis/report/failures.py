"""Notes on failed and diverged trials; the report prints one beside every mean that leaves such a trial out."""

import pandas as pd

from analysis.statistics.summaries import without_stopped
from analysis.statistics.words import listing
from analysis.tables.architectures import Architectures
from analysis.tables.gradient_tables import LINE, line_names


def not_in_means(failures: pd.DataFrame, architectures: Architectures) -> str:
    """One sentence on the trials that have no results, by architecture and length; empty where there are none.

    Args:
        failures: as `Runs.failures` has them.
        architectures: what they are called.
    """
    return "" if failures.empty else f"In no mean: {_listed(failures, architectures)}."


def cut_short(failures: pd.DataFrame, gradients: pd.DataFrame, architectures: Architectures) -> str:
    """One sentence on the trials whose gradients end where they failed or diverged; empty where there are none.

    Args:
        failures: as `Runs.failures` has them.
        gradients: as `read_gradients` returns it. Trials on other tasks than those it has from training do not count.
        architectures: what they are called.
    """
    lost = failures[failures["task"].isin(gradients.loc[gradients["phase"] != "initial", "task"])]
    return "" if lost.empty else f"In these means only until they ended: {_listed(lost, architectures)}."


def not_fitted(gradients: pd.DataFrame, architectures: Architectures) -> str:
    """One sentence, after a space, on the trials whose gradients after training count for nothing; empty without any.

    Args:
        gradients: as `Evidence.gradients` has them; a table that does not say how training ended has none.
        architectures: what they are called.
    """
    trained = gradients[gradients["phase"] == "trained"]
    stopped = trained.drop(without_stopped(trained).index)
    if stopped.empty:
        return ""
    trials = stopped[[*LINE, "seed"]].drop_duplicates()
    trials = trials.assign(arch=line_names(trials), train_length=trials["length"], status="not converged")
    return f" Not fitted after training: {_listed(trials, architectures)}."


def _listed(failures: pd.DataFrame, architectures: Architectures) -> str:
    failures = failures.fillna({"arch": "unknown"})
    names = architectures.names(failures["arch"])
    sizes = failures.groupby(["arch", "train_length", "status"], dropna=False).size()
    counts = zip(sizes.index, sizes.astype(int), strict=True)
    order = {arch: place for place, arch in enumerate(names)}
    return listing(
        f"{names[arch]} at length {length:g}: {count} {status}"
        for (arch, length, status), count in sorted(counts, key=lambda item: (order[item[0][0]], *item[0][1:]))
    )
