"""Figures over training: maps of gradient norms by step and distance, and the total norm with the share clipped.

Each function takes the table of `read_gradients` and returns a Chart, or None where the table lacks what it shows.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.figures.chart import Chart
from analysis.figures.gradients.panels import (
    WIDTHS,
    draw_bands,
    few_lines,
    legend,
    log_spread,
    wrapped,
)
from analysis.figures.length.accuracy import is_leftmost, panels, use
from analysis.figures.style import COLUMN_WIDTH, TEXT_WIDTH, paper_style, styles
from analysis.statistics.gradient_norms import over_log_seeds, over_row_seeds
from analysis.statistics.summaries import PROPORTION, seeds_phrase
from analysis.tables.gradient_tables import LINE, curves, longest
from analysis.tables.schema import EMBEDDING_GRADIENT

MAP_COLUMNS = 4
MAP_DECADES = 8.0


def gradient_heatmap_figure(table: pd.DataFrame) -> Chart | None:
    """Maps of log10 gradient norm over training step and distance, a panel for each line."""
    points = _map_points(table)
    if points.empty:
        return None
    tasks = list(points["task"].unique())
    keys = [(task, name) for task in tasks for name in styles(points[points["task"] == task]["name"])]
    most = points["log10_norm"].max()
    least = max(points["log10_norm"].min(), most - MAP_DECADES)
    looks = styles(points["name"])
    with paper_style():
        columns = min(MAP_COLUMNS, len(keys))
        width = TEXT_WIDTH if columns > 1 else COLUMN_WIDTH
        figure, grid = panels(-(-len(keys) // columns), columns, height=1.45, width=width)
        shown = use(grid, len(keys))
        image = None
        for place, (axes, (task, name)) in enumerate(zip(shown, keys, strict=True)):
            own = points[(points["task"] == task) & (points["name"] == name)]
            image = _draw_map(axes, own, least, most)
            title = wrapped(looks[name].name)
            axes.set_title(title if len(tasks) == 1 else f"{title}\n{task}", loc="left")
            axes.set_xlabel("Training step" if place + columns >= len(keys) else "")
            axes.set_ylabel("Distance" if is_leftmost(axes) else "")
        assert image is not None
        cut = points["log10_norm"].min() < least
        figure.colorbar(
            image, ax=shown, label="log10 gradient norm", extend="min" if cut else "neither", pad=0.01, aspect=30
        )
    caption = (
        "Norm of the gradient that reaches a source token, by training step and the token's distance from the loss "
        f"(colour: log10 of the geometric mean over {seeds_phrase(points)}), {_lengths_phrase(points)}."
    )
    return Chart("gradient_heatmap", figure, points, caption)


def training_norms_figure(table: pd.DataFrame) -> Chart | None:
    """Total gradient norm over training and the share of clipped steps."""
    norms = over_log_seeds(_training(table, "gradient_norm"), [*LINE, "name", "quantity", "step"])
    clipped = over_row_seeds(_training(table, "clipped"), [*LINE, "name", "quantity", "step"], PROPORTION)
    kinds = [(norms, "Gradient norm before clipping"), (clipped, "Share of steps clipped")]
    kinds = [(points, label) for points, label in kinds if len(points)]
    if not kinds:
        return None
    points = pd.concat([own for own, _ in kinds], ignore_index=True)
    looks = styles(points["name"])
    tasks = list(points["task"].unique())
    with paper_style():
        figure, grid = panels(len(tasks), len(kinds), height=2.1, width=WIDTHS[len(kinds)])
        for task, row in zip(tasks, grid, strict=True):
            for axes, (own, label) in zip(row, kinds, strict=True):
                shown = own[own["task"] == task]
                if shown.empty:
                    axes.set_visible(False)
                    continue
                if own is norms:
                    _norm_axis(axes, shown)
                else:
                    axes.set_ylim(-0.03, 1.03)
                draw_bands(axes, shown, "step", looks)
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
                axes.set_xlabel("Training step")
                axes.set_ylabel(label)
                axes.set_title(f"{task}, length {shown['length'].max()}", loc="left")
        legend(figure, list(looks.values()))
    one_seed = " With one seed the band of the norm runs from its least to its greatest since the point before."
    caption = (
        "Norm of the gradient over all parameters before clipping, averaged over the steps since the point before, "
        f"and the share of steps whose norm was clipped. {log_spread(points, one_seed)}; shares have arithmetic means."
    )
    return Chart("training_norms", figure, points, caption)


def _training(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The rows of one quantity at the greatest length of each task; infinite norms have no place on an axis."""
    rows = few_lines(longest(curves(table, quantity)))
    rows = rows[np.isfinite(rows["mean"].astype(float))]
    return rows.drop_duplicates([*LINE, "seed", "step"], keep="last")


def _map_points(table: pd.DataFrame) -> pd.DataFrame:
    """log10 norms of lines that were measured during training, at the greatest length of each task."""
    rows = longest(curves(table, EMBEDDING_GRADIENT))
    trained = rows.groupby(LINE)["phase"].transform(lambda phases: "training" in set(phases))
    rows = rows[trained.astype(bool)].drop_duplicates([*LINE, "seed", "step", "distance"], keep="last")
    rows = rows.assign(log10_norm=np.log10(rows["mean"].astype(float)))
    by = [*LINE, "name", "step", "distance"]
    points = rows.groupby(by, as_index=False).agg(log10_norm=("log10_norm", "mean"), seeds=("seed", "nunique"))
    enough = points.groupby("name")[["step", "distance"]].transform("nunique").min(axis=1) > 1
    return points[enough].reset_index(drop=True)


def _draw_map(axes: Axes, points: pd.DataFrame, least: float, most: float) -> Any:
    grid = points.pivot_table(index="distance", columns="step", values="log10_norm")
    image = axes.pcolormesh(
        grid.columns.to_numpy(float), grid.index.to_numpy(float), grid.to_numpy(),
        shading="nearest", cmap="cividis", vmin=least, vmax=most, rasterized=True,
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return image


def _norm_axis(axes: Axes, points: pd.DataFrame) -> None:
    least, most = points["mean"].min(), points["mean"].max()
    narrow = most < 10 * least
    axes.set_yscale("log")
    # The lines decide: a band of few seeds that differ spans many decades.
    axes.set_ylim(least / 3, most * 3)
    axes.yaxis.set_major_locator(MaxNLocator(5) if narrow else LogLocator(subs=(1, 2, 5), numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda norm, _: f"{norm:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _lengths_phrase(points: pd.DataFrame) -> str:
    return "; ".join(
        f"{task}, length {length}"
        for task, length in points[["task", "length"]].drop_duplicates().itertuples(index=False, name=None)
    )
