"""The figure of remedies: gradient norm and accuracy of each variant of an architecture beside its baseline's.

A variant is an architecture with options other than its defaults, such as `recurrent_init=identity`; the baseline has
none. Only architectures of which there are several lines appear.
"""

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes

from analysis.claims.remedies import BASELINE, remedy_lags, remedy_norms
from analysis.figures.chart import Chart
from analysis.figures.gradients.norms import ONE_PERCENT, draw_distances, log_spread, norm_limits
from analysis.figures.gradients.recall import draw_lags, lag_spread
from analysis.figures.panels import label_leftmost, legend, panels
from analysis.figures.registry import register
from analysis.figures.style import TEXT_WIDTH, Style, guide, styles
from analysis.statistics.gradient_fits import WHEN
from analysis.tables.architectures import Architectures

CHANCE = guide("chance", "--")
# Okabe & Ito (2008), the baseline in black: every class has the same remedies, so colours stand for these.
MARKERS = ("s", "^", "D", "v", "P", "X")
LINES = ((0, (4, 1.2)), (0, (4, 1, 1, 1)), (0, (1, 1)))
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@register(
    "remedies", "gradients", 6,
    "A remedy works where its line lies above the baseline, left in the gradient, right in what is learnt.",
)  # fmt: skip
def remedies_figure(
    gradients: pd.DataFrame, architectures: Architectures, results: pd.DataFrame | None = None
) -> Chart | None:
    """A row for each architecture with variants: gradient norm against distance, and accuracy against lag."""
    norms, lags = remedy_norms(gradients), remedy_lags(gradients, results)
    if norms.empty:
        return None
    looks = _looks(norms["variant"])
    named = styles(norms["arch"], architectures)
    phases = [phase for phase in WHEN if phase in set(norms["phase"])]
    rows = [(task, arch) for task in norms["task"].unique() for arch in named if _of(norms, task, arch).size]
    limits = norm_limits(norms, ONE_PERCENT)
    figure, grid = panels(len(rows), len(phases) + (len(lags) > 0), height=2.0, width=TEXT_WIDTH)
    for (task, arch), row in zip(rows, grid, strict=True):
        of_row = _of(norms, task, arch)
        for axes, phase in zip(row, phases, strict=False):
            shown = of_row[of_row["phase"] == phase]
            if shown.empty:
                axes.set_visible(False)
                continue
            draw_distances(axes, shown, looks, limits, ONE_PERCENT, by="variant")
            axes.set_xlabel("Distance from the loss")
            label_leftmost(axes, "Gradient norm (relative)")
            axes.set_title(f"{named[arch].name}, {WHEN[phase]}", loc="left")
        if len(lags):
            _draw_accuracy(row[-1], _of(lags, task, arch), named[arch].name, looks)
    legend(figure, list(looks.values()), [ONE_PERCENT.look, *([CHANCE] if len(lags) else [])])
    points = pd.concat([norms.assign(panel="gradient_norm"), lags.assign(panel="accuracy")], ignore_index=True)
    return Chart("remedies", figure, points, _caption(norms, lags, named))


def _of(points: pd.DataFrame, task: str, arch: str) -> pd.DataFrame:
    return points[(points["task"] == task) & (points["arch"] == arch)]


def _looks(variants: Iterable[str]) -> dict[str, Style]:
    """The baseline in black, and a colour, a marker and a line for each remedy."""
    looks = {"": Style(BASELINE, "#000000", "o", "-")}
    for place, variant in enumerate(sorted(set(variants) - {""})):
        looks[variant] = Style(
            variant, COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)],
            LINES[place % len(LINES)],
        )  # fmt: skip
    return looks if "" in set(variants) else {variant: look for variant, look in looks.items() if variant}


def _draw_accuracy(axes: Axes, points: pd.DataFrame, name: str, looks: dict[str, Style]) -> None:
    if points.empty:
        axes.set_visible(False)
        return
    axes.axhline(1 / points["vocabulary"].iloc[0], **CHANCE)
    draw_lags(axes, points, looks, by="variant")
    axes.set_ylabel("Greedy token accuracy")
    axes.set_title(f"{name}, recall", loc="left")


def _caption(norms: pd.DataFrame, lags: pd.DataFrame, named: dict[str, Style]) -> str:
    lengths = ", ".join(
        f"{named[arch].name} at length {length} of {task}"
        for task, length, arch in norms[["task", "length", "arch"]].drop_duplicates().itertuples(index=False, name=None)
    )
    accuracy = (
        f" Right: greedy accuracy of naming the first source token against the lag; {lag_spread(lags)}."
        if len(lags)
        else ""
    )
    return (
        "Remedies beside the baseline, an architecture a row: norm of the gradient that reaches a source token, "
        f"relative to the greatest of its line, against the token's distance from the loss; {lengths}. "
        f"{log_spread(norms)}.{accuracy}"
    )
