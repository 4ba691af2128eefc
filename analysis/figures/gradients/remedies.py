"""Whether a remedy helps: the gradient and the accuracy of each variant of an architecture beside its baseline's.

A variant is an architecture with options other than its defaults, such as `recurrent_init=identity`; the baseline has
none. Only architectures of which there are several lines appear.
"""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.gradients.panels import (
    ONE_PERCENT,
    draw_distances,
    legend,
    log_spread,
    norm_limits,
    over_log_seeds,
    relative,
)
from analysis.figures.gradients.recall import CHANCE, draw_lags, lag_axis, lag_points, lag_spread
from analysis.figures.length.accuracy import Chart, is_leftmost, panels
from analysis.figures.style import Style, paper_style, styles
from analysis.statistics.gradient_fits import WHEN, Fit, fits
from analysis.statistics.intervals import MeanInterval, lies_above
from analysis.statistics.summaries import interval_of
from analysis.tables.frames import Frame
from analysis.tables.gradient_tables import EMBEDDING_GRADIENT, LINE, curves, ends

BASELINE = "baseline"
# Okabe & Ito (2008), the baseline in black: every class has the same remedies, so colours stand for these.
MARKERS = ("s", "^", "D", "v", "P", "X")
LINES = ((0, (4, 1.2)), (0, (4, 1, 1, 1)), (0, (1, 1)))
GUESS = {**CHANCE, "linestyle": "--"}
LAG_COLUMNS = ["arch", "task", "vocabulary", "lag", "mean", "low", "high", "seeds"]
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


class Remedy(NamedTuple):
    """What a variant does to gradient and accuracy; `variant` is empty for the baseline.

    Attributes:
        initial: decay and horizon at initialisation, trained: after training; None where not measured.
        slower: whether the gradient decays slower than the baseline's, after training where both were measured then;
            None where that cannot be told.
        accuracy: of recalling the first source token at the greatest lag that several variants were tested at.
        better: whether accuracy is higher than the baseline's; None where that cannot be told.
    """

    arch: str
    variant: str
    task: str
    length: int
    initial: Fit | None
    trained: Fit | None
    slower: bool | None
    accuracy: MeanInterval | None
    better: bool | None


def remedies_figure(table: Frame, results: Frame | None = None) -> Chart | None:
    """A row for each architecture with variants: gradient norm against distance, and accuracy against lag.

    Args:
        table: as `read_gradients` returns it.
        results: the tidy table of trials, for accuracy.
    """
    norms, lags = _norm_points(table), _lag_points(table, results)
    if norms.empty:
        return None
    looks = _looks(norms["variant"])
    phases = [phase for phase in WHEN if phase in set(norms["phase"])]
    rows = [(task, arch) for task in norms["task"].unique() for arch in styles(norms[norms["task"] == task]["arch"])]
    limits = norm_limits(norms, ONE_PERCENT)
    with paper_style():
        figure, grid = panels(len(rows), len(phases) + (len(lags) > 0), height=2.0)
        for (task, arch), row in zip(rows, grid, strict=True):
            own = norms[(norms["task"] == task) & (norms["arch"] == arch)]
            name = styles([arch])[arch].name
            for axes, phase in zip(row, phases, strict=False):
                shown = own[own["phase"] == phase]
                if shown.empty:
                    axes.set_visible(False)
                    continue
                draw_distances(axes, shown, looks, limits, ONE_PERCENT, by="variant")
                axes.set_xlabel("Distance from the loss")
                axes.set_ylabel("Gradient norm (relative)" if is_leftmost(axes) else "")
                axes.set_title(f"{name}, {WHEN[phase]}", loc="left")
            if len(lags):
                _draw_accuracy(row[-1], lags[(lags["arch"] == arch) & (lags["task"] == task)], name, looks)
        legend(figure, list(looks.values()), [ONE_PERCENT.look, *([GUESS] if len(lags) else [])])
    points = pd.concat([norms.assign(panel="gradient_norm"), lags.assign(panel="accuracy")], ignore_index=True)
    return Chart("remedies", figure, points, _caption(norms, lags))


def remedies(table: Frame, results: Frame | None = None) -> list[Remedy]:
    """Every line of the figure, the baseline first, at the greatest length that several variants were measured at.

    Two decays or accuracies differ where their 95% intervals over seeds do not overlap.
    """
    norms, lags = _norm_points(table), _lag_points(table, results)
    found = {(fit.task, fit.arch, fit.length, fit.variant, fit.phase): fit for fit in fits(table)}
    order = list(styles(norms["arch"]))
    lines = norms[["task", "arch", "length", "variant"]].drop_duplicates()
    lines = lines.sort_values("arch", key=lambda archs: archs.map(order.index), kind="stable")
    remedied = []
    for task, arch, length, variant in lines.itertuples(index=False, name=None):
        own, baseline = ([found.get((task, arch, length, which, phase)) for phase in WHEN] for which in (variant, ""))
        recalled = _recalled(lags[(lags["arch"] == arch) & (lags["task"] == task)])
        remedied.append(
            Remedy(
                arch, variant, task, int(length), *own,
                slower=_slower(own, baseline) if variant else None,
                accuracy=recalled.get(variant),
                better=lies_above(recalled.get(variant), recalled.get("")) if variant else None,
            )
        )  # fmt: skip
    return remedied


def variant_label(variant: str) -> str:
    """How legends and tables call a variant."""
    return variant or BASELINE


def _slower(own: list[Fit | None], baseline: list[Fit | None]) -> bool | None:
    """Whether the gradient decays slower than the baseline's in the last phase that both were measured in."""
    both = [(fit, than) for fit, than in zip(own, baseline, strict=True) if fit and than]
    if not both:
        return None
    fit, than = both[-1]
    return lies_above(fit.decay, than.decay)


def _recalled(lags: Frame) -> dict[str, MeanInterval]:
    """Accuracy of each variant of an architecture at the greatest lag that several were tested at."""
    several = lags[lags.groupby("lag")["variant"].transform("nunique") > 1]
    at_greatest = several[several["lag"] == several["lag"].max()]
    return {row["variant"]: interval_of(row) for _, row in at_greatest.iterrows()}


def _norm_points(table: Frame) -> Frame:
    """Relative norms of architectures of which several variants were measured, at the greatest such length."""
    rows = ends(curves(table, EMBEDDING_GRADIENT))
    rows = rows[rows.groupby(["task", "arch", "length"])["variant"].transform("nunique") > 1]
    rows = rows[rows["length"] == rows.groupby(["task", "arch"])["length"].transform("max")]
    # A source that is read backwards has its greatest norm at its greatest distance.
    return over_log_seeds(relative(rows, "max"), [*LINE, "phase", "distance"])


def _lag_points(table: Frame, results: Frame | None) -> Frame:
    """Accuracy by lag of the same architectures, with their `variant`, at the greatest vocabulary."""
    points: Frame = pd.DataFrame(columns=LAG_COLUMNS) if results is None else lag_points(results)
    names = [name.partition(" [") for name in points["arch"]]
    points = points.assign(
        arch=[arch for arch, _, _ in names], variant=[variant.removesuffix("]") for _, _, variant in names]
    )
    points = points[points["arch"].isin(_norm_points(table)["arch"])]
    points = points[points["vocabulary"] == points["vocabulary"].max()]
    return points[points.groupby("arch")["variant"].transform("nunique") > 1].reset_index(drop=True)


def _looks(variants: Iterable[str]) -> dict[str, Style]:
    """The baseline in black, and a colour, a marker and a line for each remedy."""
    looks = {"": Style(BASELINE, "#000000", "o", "-")}
    for place, variant in enumerate(sorted(set(variants) - {""})):
        looks[variant] = Style(
            variant, COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)],
            LINES[place % len(LINES)],
        )  # fmt: skip
    return looks if "" in set(variants) else {variant: look for variant, look in looks.items() if variant}


def _draw_accuracy(axes: Axes, points: Frame, name: str, looks: dict[str, Style]) -> None:
    if points.empty:
        axes.set_visible(False)
        return
    axes.axhline(1 / points["vocabulary"].iloc[0], **GUESS)
    draw_lags(axes, points, looks, by="variant")
    lag_axis(axes, points["lag"])
    axes.set_ylabel("Greedy token accuracy")
    axes.set_title(f"{name}, recall", loc="left")


def _caption(norms: Frame, lags: Frame) -> str:
    lengths = ", ".join(
        f"{styles([arch])[arch].name} at length {length} of {task}"
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
