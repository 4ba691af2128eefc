"""Figures register themselves where they are drawn; whoever shows figures finds them here.

A new figure is one file below analysis/figures/: a function from tables to a Chart with `@register` above it.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from analysis import figures
from analysis.errors import ReportError
from analysis.figures.chart import Chart
from analysis.statistics.summaries import STOPPED
from analysis.tables.architectures import Architectures

Draw = TypeVar("Draw", bound=Callable[..., Chart | list[Chart] | None])


class RegisteredFigure(NamedTuple):
    """A figure, or a family such as one for each sentence.

    Attributes:
        section: of the report that shows it.
        place: of the figure among those of its section.
        name: of its files, or what their names begin with.
        to_see: the sentence on what to see in it. Where the data say otherwise, they are right.
        draw: its function; the names of the parameters are those of the tables that it needs.
    """

    section: str
    place: int
    name: str
    to_see: str
    draw: Callable[..., Chart | list[Chart] | None]

    def charts(self, tables: dict[str, Any]) -> list[Chart]:
        """The figure as a list, empty where it cannot be drawn from these tables.

        Raises:
            LeftOutError: see there.
            ReportError: trials that cannot be compared though they look alike.
        """
        parameters = inspect.signature(self.draw).parameters.values()
        if any(needed.name not in tables for needed in parameters if needed.default is needed.empty):
            return []
        drawn = self.draw(**{one.name: tables[one.name] for one in parameters if one.name in tables})
        charts = drawn if isinstance(drawn, list) else [drawn]
        return [
            chart._replace(to_see=self.to_see, caption=chart.caption + _marked(chart.points))
            for chart in charts
            if chart is not None
        ]


def _marked(points: pd.DataFrame) -> str:
    """What marks in a figure say of trials that had not converged; empty where it has none."""
    if STOPPED not in points or not (points[STOPPED] > 0).any():
        return ""
    return " Rings and *not converged*: some trial behind it used up its budget before it had converged."


class LeftOutError(ReportError):
    """A figure cannot be drawn though there are numbers for it; the report says why and goes on."""


_REGISTERED: dict[str, RegisteredFigure] = {}


def register(name: str, section: str, place: int, to_see: str) -> Callable[[Draw], Draw]:
    """Decorate the function that draws a figure, see `RegisteredFigure`.

    The function returns a Chart, several in a list, or None where the tables lack what it shows. Its parameters are
    among `results` (the tidy table), `trials`, `runs`, `gradients`, `parallelism`, `curves`, `attention`,
    `architectures`, and further attributes of Evidence; those without a default are needed.
    """

    def registered(draw: Draw) -> Draw:
        _REGISTERED[name] = RegisteredFigure(section, place, name, to_see, draw)
        return draw

    return registered


def registered_figures() -> list[RegisteredFigure]:
    """Every figure below analysis/figures/, by section and place."""
    for module in pkgutil.walk_packages(figures.__path__, f"{figures.__name__}."):
        importlib.import_module(module.name)
    return sorted(_REGISTERED.values(), key=lambda figure: (figure.section, figure.place, figure.name))


def section_charts(section: str, architectures: Architectures, **tables: Any) -> list[Chart]:
    """Every figure of a section that these tables have the numbers for.

    Raises:
        ReportError: trials that cannot be compared though they look alike, or figures that are left out.
    """
    tables["architectures"] = architectures
    return [chart for figure in registered_figures() if figure.section == section for chart in figure.charts(tables)]
