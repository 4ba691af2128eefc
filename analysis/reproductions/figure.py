"""The figure of a reproduction: what was published in grey, under what was measured."""

import pandas as pd

from analysis.figures.axes import length_axis, proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import draw_error_bars, spread_phrase
from analysis.figures.panels import legend, panels
from analysis.figures.style import FURTHER_COLORS, FURTHER_LINES, LOOKS, TEXT_WIDTH, Style, guide, paper_style
from analysis.reproductions.published import Reproduction

GREY = "#9A9A9A"


def reproduction_figure(reproduction: Reproduction, points: pd.DataFrame) -> Chart | None:
    """Published points in grey under the lines measured; None where nothing was measured.

    Args:
        reproduction: with the published values.
        points: as `analysis.reproductions.observations.points` returns them.
    """
    if points.empty:
        return None
    looks = {name: look for name, look in _looks(reproduction).items() if (points["line"] == name).any()}
    with paper_style():
        figure, [[axes]] = panels(1, 1, height=2.6, width=0.75 * TEXT_WIDTH)
        draw_error_bars(axes, points, "x", looks, by="line")
        _vertical_axis(axes, points, reproduction)
        if reproduction.table == "gradients":
            axes.set_xlabel(reproduction.axis)  # linear: what decays exponentially is a straight line
        else:
            length_axis(axes, points["x"].astype(int), reproduction.axis)
        axes.set_title(reproduction.paper, loc="left")
        guides = _published(axes, points, reproduction)
        legend(figure, list(looks.values()), guides)
    spread = "exact counts" if reproduction.table == "parallelism" else spread_phrase(points)
    caption = (
        f"{reproduction.title.rstrip('.')} ({reproduction.paper}, {reproduction.where}). {reproduction.measure}; "
        f"{spread}. {published_phrase(reproduction)}"
    )
    return Chart(f"reproduction_{reproduction.name.replace('-', '_')}", figure, _table(reproduction, points), caption)


def published_phrase(reproduction: Reproduction) -> str:
    """How the published values were read; empty without any."""
    published = reproduction.published
    if not published.points:
        return "The paper's claim is a direction: it has no numbers here."
    error = f", with an error of reading of {published.error:g}" if published.error else ""
    other = f" They are {published.measure}, on an axis of their own." if published.measure else ""
    return f"In grey: published values ({published.read}{error}).{other}"


def _vertical_axis(axes, points: pd.DataFrame, reproduction: Reproduction) -> None:
    if reproduction.table == "gradients":
        axes.set_yscale("log")
        axes.set_ylabel(reproduction.measure)
    elif points["mean"].between(0, 1).all():
        proportion_axis(axes, reproduction.measure)
    else:
        axes.set_ylabel(reproduction.measure)


def _published(axes, points: pd.DataFrame, reproduction: Reproduction) -> list[dict]:
    """Grey points with the markers of their lines; those without a place stand at the right end."""
    published = reproduction.published
    if not published.points:
        return []
    where = axes
    if published.measure:
        where = axes.twinx()
        where.set_ylabel(published.measure, color=GREY)
        where.tick_params(axis="y", colors=GREY)
        where.spines["right"].set_visible(True)
    looks = _looks(reproduction)
    for name in dict.fromkeys(point.line for point in published.points):
        of_line = [point for point in published.points if point.line == name]
        x = [points["x"].max() if point.x is None else point.x for point in of_line]
        where.errorbar(
            x, [point.value for point in of_line], yerr=published.error or None, color=GREY, ecolor=GREY, zorder=0,
            marker=looks[name].marker, linestyle=looks[name].line if len(of_line) > 1 else "", linewidth=0.8,
        )  # fmt: skip
    return [guide("published", "-") | {"color": GREY, "marker": "o", "linewidth": 0.8}]


def _looks(reproduction: Reproduction) -> dict[str, Style]:
    """Each line as its architecture looks; a second line of an architecture gets a colour and a marker of its own."""
    looks: dict[str, Style] = {}
    used = set()
    for line in reproduction.lines:
        arch = line.settings.get("model")
        if arch in LOOKS and arch not in used:
            looks[line.name] = Style(line.name, *LOOKS[arch])
        else:
            number = len(looks)
            look = FURTHER_COLORS[number % len(FURTHER_COLORS)], "<>hpd8*"[number % 7], FURTHER_LINES[number % 2]
            looks[line.name] = Style(line.name, *look)
        used.add(arch)
    return looks


def _table(reproduction: Reproduction, points: pd.DataFrame) -> pd.DataFrame:
    """The points measured and, with the mean alone, those published."""
    published = [(point.line, point.x, point.value, "published") for point in reproduction.published.points]
    theirs = pd.DataFrame(published, columns=["line", "x", "mean", "source"])
    ours = points.assign(source="measured")
    return pd.concat([ours, theirs], ignore_index=True) if len(theirs) else ours
