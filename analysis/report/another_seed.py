"""The section on prediction intervals: where one more trial should land."""

import pandas as pd

from analysis.report import markdown
from analysis.statistics.summaries import SETTING, count_phrase, next_seed, setting_name
from analysis.statistics.words import bounds
from analysis.tables.architectures import Architectures


def another_seed(results: pd.DataFrame, architectures: Architectures) -> str:
    """The section of a report: architectures in rows, lengths in columns; empty with too few seeds everywhere."""
    points = next_seed(results)
    if points.empty:
        return ""
    names = architectures.names(results["arch"])
    lengths = sorted(points["train_length"].unique())
    lines = []
    for (task, vocabulary), here in points.groupby(SETTING):
        for arch in architectures.names(here["arch"]):
            own = here[here["arch"] == arch].set_index("train_length")
            cells = [_cell(own.loc[n]) if n in own.index else None for n in lengths]
            lines.append([names[arch], setting_name(task, vocabulary), *cells, count_phrase(own["seeds"])])
    header = ["Architecture", "Task", *(f"Length {length}" for length in lengths), "n (seeds)"]
    return (
        "## Where another seed should land\n\n" + markdown.table(header, lines) + "\n\n"
        "95% prediction intervals of the greedy token accuracy of one more trial with a seed of its own, from the "
        "spread of these seeds taken as normal, cut at 0 and 1. They are wider than the intervals of the means, which "
        "say where the mean over all seeds lies. Where some seeds find the task and others do not, no interval of "
        "this kind is right; close to 1, where a seed can fall short by more than it can exceed, the lower end may lie "
        "too high; and where all seeds agree to the last token, there is no spread to make one of."
    )


def _cell(point: pd.Series) -> str:
    if point["high"] - point["low"] < 1e-9:
        return f"{point['low']:.3f} in all"
    return bounds(point["low"], point["high"])
