"""Trials that failed or diverged, said wherever a mean is shown that they are not in, or in only in part."""

import pandas as pd

from analysis.figures.style import styles
from analysis.statistics.words import listing


def not_in_means(failures: pd.DataFrame) -> str:
    """One sentence on the trials that have no results, by architecture and length; empty where there are none.

    Args:
        failures: as `Runs.failures` has them.
    """
    return "" if failures.empty else f"In no mean: {_listed(failures)}."


def cut_short(failures: pd.DataFrame, gradients: pd.DataFrame) -> str:
    """One sentence on the trials whose gradients end where they failed or diverged; empty where there are none.

    Args:
        failures: as `Runs.failures` has them.
        gradients: as `read_gradients` returns it. Trials on other tasks than those it has from training do not count.
    """
    lost = failures[failures["task"].isin(gradients.loc[gradients["phase"] != "initial", "task"])]
    return "" if lost.empty else f"In these means only until they ended: {_listed(lost)}."


def _listed(failures: pd.DataFrame) -> str:
    looks = styles(failures["arch"].fillna("unknown"))
    groups = failures.fillna({"arch": "unknown"}).groupby(["arch", "train_length", "status"], dropna=False).size()
    found = dict(zip(groups.index, groups.astype(int), strict=True))
    order = {arch: place for place, arch in enumerate(looks)}
    return listing([
        f"{looks[arch].name} at length {length:g}: {count} {status}"
        for (arch, length, status), count in sorted(found.items(), key=lambda item: (order[item[0][0]], *item[0][1:]))
    ])  # fmt: skip
