"""The figure of gradient norms over training: a map by step and distance for each line."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.ticker import MaxNLocator

from analysis.figures.chart import Chart
from analysis.figures.panels import label_leftmost, split_by, wrapped, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import styles
from analysis.statistics.summaries import seeds_phrase
from analysis.tables.architectures import Architectures
from analysis.tables.gradient_tables import LINE, curves, longest
from analysis.tables.schema import EMBEDDING_GRADIENT

COLUMNS = 4
DECADES = 8.0


@register(
    "gradient_heatmap", "gradients", 2,
    "Bright bands that reach far up carry the signal far; watch whether training widens them.",
)  # fmt: skip
def gradient_heatmap_figure(gradients: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Maps of log10 gradient norm over training step and distance, a panel for each line."""
    points = _map_points(gradients)
    if points.empty:
        return None
    looks = styles(points["name"], architectures)
    lines = dict(split_by(points, ["task", "name"]))
    keys = [(task, name) for task in points["task"].unique() for name in looks if (task, name) in lines]
    several = len(points["task"].unique()) > 1
    most = points["log10_norm"].max()
    least = max(points["log10_norm"].min(), most - DECADES)
    figure, cells = wrapped_panels(keys, COLUMNS, height=1.45)
    maps = [_draw_map(axes, lines[key], least, most) for axes, key in cells]
    for place, (axes, (task, name)) in enumerate(cells):
        title = wrapped(looks[name].name)
        axes.set_title(f"{title}\n{task}" if several else title, loc="left")
        axes.set_xlabel("Training step" if place + min(COLUMNS, len(keys)) >= len(keys) else "")
        label_leftmost(axes, "Distance")
    extend = "min" if points["log10_norm"].min() < least else "neither"
    panels = [axes for axes, _ in cells]
    figure.colorbar(maps[-1], ax=panels, label="log10 gradient norm", extend=extend, pad=0.01, aspect=30)
    caption = (
        "Norm of the gradient that reaches a source token, by training step and the token's distance from the loss "
        f"(colour: log10 of the geometric mean over {seeds_phrase(points)}), {_lengths_phrase(points)}."
    )
    return Chart("gradient_heatmap", figure, points, caption)


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


def _draw_map(axes: Axes, points: pd.DataFrame, least: float, most: float) -> QuadMesh:
    grid = points.pivot_table(index="distance", columns="step", values="log10_norm")
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return axes.pcolormesh(
        grid.columns.to_numpy(float), grid.index.to_numpy(float), grid.to_numpy(),
        shading="nearest", cmap="cividis", vmin=least, vmax=most, rasterized=True,
    )  # fmt: skip


def _lengths_phrase(points: pd.DataFrame) -> str:
    return "; ".join(
        f"{task}, length {length}"
        for task, length in points[["task", "length"]].drop_duplicates().itertuples(index=False, name=None)
    )
