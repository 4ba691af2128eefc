"""Names beside the right ends of lines, so that no eye has to travel to a legend and back."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.lines import each_line
from analysis.figures.style import Style, gid

LINE_HEIGHT = 0.125  # inches of a label
INK = "#222222"  # of letters: the colour of a line may be too light to read


def label_lines(
    axes: Axes, points: pd.DataFrame, x: str, looks: dict[str, Style], height: float, by: str = "arch"
) -> None:
    """Write the name of each line to the right of the panel, at the height where the line ends, none on another.

    Call it last, when both axes have their scale and limits.

    Args:
        axes: the panel.
        points: what it shows; the column `mean` is its height.
        x: the column of the horizontal axis.
        looks: of the lines.
        height: of the panel, in inches, as good as it is known.
        by: the column that names the lines.
    """
    to_fraction = axes.transScale + axes.transLimits
    ends = {}
    for name, line in each_line(points, by, looks):
        last = line.iloc[line[x].to_numpy().argmax()]
        ends[name] = to_fraction.transform((last[x], last["mean"]))
    order = sorted(ends, key=lambda name: -ends[name][1])
    places = spread([min(max(ends[name][1], 0), 1) for name in order], LINE_HEIGHT / height)
    for name, place in zip(order, places, strict=True):
        leader = {"arrowstyle": "-", "color": looks[name].color, "linewidth": 0.7, "alpha": 0.7, "relpos": (0, 0.5)}
        label = axes.annotate(
            looks[name].name, ends[name], (1.06, place), "axes fraction", "axes fraction", fontsize=7.5, color=INK,
            va="center", annotation_clip=False, gid=gid(looks[name].name, axes, "label"),
            arrowprops={**leader, "shrinkA": 1, "shrinkB": 2},
        )  # fmt: skip
        if label.arrow_patch is not None:
            label.arrow_patch.set_gid(gid(looks[name].name, axes, "leader"))


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places at least `gap` apart, none above 1, close to the wanted ones, which descend.

    Groups that touch keep their middle, unless they would leave the panel at its top.
    """
    groups: list[tuple[float, int]] = []  # middle and size, the highest first
    for place in wanted:
        middle, size = place, 1
        while groups and groups[-1][0] - middle < gap * (groups[-1][1] + size) / 2:
            above, count = groups.pop()
            middle, size = (above * count + middle * size) / (count + size), count + size
        groups.append((middle, size))
    apart = [middle + gap * ((size - 1) / 2 - place) for middle, size in groups for place in range(size)]
    return [min(place, 1 - gap * number) for number, place in enumerate(apart)]
