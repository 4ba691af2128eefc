"""The figure of a reproduction: what was published in grey, under what was measured."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.axes import length_axis, proportion_axis
from analysis.figures.chart import Chart
from analysis.figures.lines import draw_error_bars, spread_phrase
from analysis.figures.panels import label_leftmost, legend, wrapped_panels
from analysis.figures.style import FURTHER_COLORS, FURTHER_LINES, LOOKS, TEXT_WIDTH, Style, guide, paper_style, styles
from analysis.reproductions.published import Line, Reproduction
from analysis.statistics.summaries import STOPPED
from analysis.tables.architectures import Architectures

TASK = "data.task"
GREY = "#9A9A9A"
PUBLISHED = guide("published", "-") | {"color": GREY, "marker": "o", "linewidth": 0.8}


def reproduction_figure(reproduction: Reproduction, points: pd.DataFrame) -> Chart | None:
    """Published points in grey under the lines measured, a panel for each task; None where nothing was measured.

    Args:
        reproduction: with the published values.
        points: as `analysis.reproductions.observations.points` returns them.
    """
    if points.empty:
        return None
    measured = set(points["line"])
    groups = [group for group in _by_task(reproduction.lines) if any(line.name in measured for line in group)]
    looks = _looks(groups)
    # Where the paper trains for a fixed number of steps, a trial that used them up is nothing to be marked.
    drawn = points.assign(**{STOPPED: 0}) if reproduction.fixed_steps else points
    with paper_style():
        alone = len(groups) == 1
        figure, cells = wrapped_panels(
            groups, 3, height=2.6 if alone else 1.8, width=0.75 * TEXT_WIDTH if alone else None
        )
        for axes, group in cells:
            names = [line.name for line in group]
            shown = drawn[drawn["line"].isin(names)]
            draw_error_bars(axes, shown, "x", {name: looks[name] for name in names}, by="line")
            _vertical_axis(axes, points, reproduction)
            if reproduction.table == "gradients":
                axes.set_xlabel(reproduction.axis)  # linear: what decays exponentially is a straight line
            else:
                length_axis(axes, shown["x"].astype(int), reproduction.axis)
            axes.set_title(reproduction.paper if alone else str(group[0].settings[TASK]), loc="left")
            _draw_published(axes, shown, names, looks, reproduction)
        named = {look.name: look for name, look in looks.items() if name in measured}
        legend(figure, list(named.values()), [PUBLISHED] if reproduction.published.points else [])
    spread = "exact counts" if reproduction.table == "parallelism" else spread_phrase(points)
    caption = (
        f"{reproduction.title.rstrip('.')} ({reproduction.paper}, {reproduction.where}). {reproduction.measure}; "
        f"{spread}. {published_phrase(reproduction)}"
    )
    return Chart(f"reproduction_{reproduction.name.replace('-', '_')}", figure, _table(reproduction, points), caption)


def _by_task(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines of each panel: those of one task, where tasks are compared and no architecture comes twice in one."""
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.settings.get(TASK), []).append(line)
    archs = [[line.settings.get("model") for line in group] for group in groups.values()]
    apart = None not in groups and all(len(set(of_panel)) == len(of_panel) for of_panel in archs)
    return list(groups.values()) if apart else [list(lines)]


def published_phrase(reproduction: Reproduction) -> str:
    """How the published values were read; empty without any."""
    published = reproduction.published
    if not published.points:
        return "The paper's claim is a direction: it has no numbers here."
    error = f", with an error of reading of {published.error:g}" if published.error else ""
    other = f" They are {published.measure}, on an axis of their own." if published.measure else ""
    return f"In grey: published values ({published.read}{error}).{other}"


def _vertical_axis(axes: Axes, points: pd.DataFrame, reproduction: Reproduction) -> None:
    if reproduction.table == "gradients":
        axes.set_yscale("log")
    elif points["mean"].between(0, 1).all():
        proportion_axis(axes)
    label_leftmost(axes, reproduction.measure)


def _draw_published(
    axes: Axes, points: pd.DataFrame, names: Sequence[str], looks: dict[str, Style], reproduction: Reproduction
) -> None:
    """Grey points with the markers of their lines; those without a place stand at the right end."""
    published = reproduction.published
    of_panel = [point for point in published.points if point.line in names]
    if not of_panel:
        return
    where = axes
    if published.measure:
        where = axes.twinx()
        where.set_ylabel(published.measure, color=GREY)
        where.tick_params(axis="y", colors=GREY)
        where.spines["right"].set_visible(True)
    for name in dict.fromkeys(point.line for point in of_panel):
        of_line = [point for point in of_panel if point.line == name]
        x = [points["x"].max() if point.x is None else point.x for point in of_line]
        where.errorbar(
            x, [point.value for point in of_line], yerr=published.error or None, color=GREY, ecolor=GREY, zorder=0,
            marker=looks[name].marker, linestyle=looks[name].line if len(of_line) > 1 else "", linewidth=0.8,
        )  # fmt: skip


def _looks(groups: Sequence[Sequence[Line]]) -> dict[str, Style]:
    """Each line as its architecture looks; a second line of an architecture gets a colour and a marker of its own.

    In several panels a line has the name of its architecture, as the panel has that of the task.
    """
    if len(groups) > 1:
        archs = {line.name: str(line.settings["model"]) for group in groups for line in group}
        by_arch = styles(archs.values(), Architectures())
        return {name: by_arch[arch] for name, arch in archs.items()}
    looks: dict[str, Style] = {}
    used = set()
    for line in groups[0]:
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
