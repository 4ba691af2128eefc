"""Axes: of proportions, of lengths and other doublings, and logarithmic ones of norms and times."""

import math
from collections.abc import Callable, Iterable

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, Locator, LogLocator, NullFormatter, NullLocator

from analysis.figures.panels import panel_width

LEAST_TICK_DISTANCE = 17  # points of paper; labels of three digits closer than this would touch, and longer ones sooner
MARGIN = 0.09  # of an axis of lengths, on both sides of what it shows


def proportion_axis(axes: Axes, label: str | None = None) -> None:
    """A vertical axis from 0 to 1."""
    axes.set_ylim(-0.03, 1.03)
    if label is not None:
        axes.set_ylabel(label)


def length_axis(axes: Axes, lengths: Iterable[int], label: str) -> None:
    """A horizontal axis with ticks at the lengths that were run, as far as their labels do not touch.

    Doublings are equally far apart where lengths span more than 4x.
    """
    wanted = sorted(set(lengths))
    least, most = wanted[0], wanted[-1]
    share = LEAST_TICK_DISTANCE * max(1, len(f"{most:g}") / 3) / panel_width(axes)
    if most >= 4 * least:
        doubling_axis(axes, _apart(wanted, math.log2, share), label, (least, most))
        return
    margin = MARGIN * (most - least) or 1
    axes.set_xlim(least - margin, most + margin)
    axes.xaxis.set_major_locator(FixedLocator(_apart(wanted, float, share)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)


def doubling_axis(
    axes: Axes, ticks: Iterable[float], label: str, ends: Iterable[float] | None = None, margin: float = MARGIN
) -> None:
    """A horizontal axis on which doublings are equally far apart.

    Args:
        axes: the panel.
        ticks: values that were run.
        label: of the axis.
        ends: the least and the greatest value shown, among others; by default the ticks.
        margin: share of the axis on both sides of the ends.
    """
    ticks = sorted(set(ticks))
    ends = ticks if ends is None else list(ends)
    least, most = min(ends), max(ends)
    beyond = (most / least) ** margin if most > least else 2
    axes.set_xscale("log", base=2)
    axes.set_xlim(least / beyond, most * beyond)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)


def logarithmic_axis(
    axes: Axes, low: float, high: float, ticks: Locator | None = None, label: str | None = None
) -> None:
    """A vertical logarithmic axis.

    Args:
        axes: the panel.
        low: its lower end.
        high: its upper end.
        ticks: where; by default a labelled one a power of ten, and smaller ones between.
        label: format of the ticks' labels; by default powers of ten.
    """
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(ticks or LogLocator(base=10))
    if label:
        axes.yaxis.set_major_formatter(label)
    if ticks:
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_minor_formatter(NullFormatter())


def _apart(values: list[int], scale: Callable[[float], float], least: float) -> list[int]:
    """The values that can have a label, the greatest first, each at least a share `least` of the axis apart."""
    span = scale(values[-1]) - scale(values[0])
    ticks = [values[-1]]
    for value in reversed(values[:-1]):
        if scale(ticks[-1]) - scale(value) >= least * span:
            ticks.append(value)
    return ticks
