"""Figures register themselves where they are drawn; whoever shows figures finds them here.

A new figure is one file below analysis/figures/: a function from tables to a Chart with `@register` above it.
"""

import importlib
import inspect
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from analysis import figures
from analysis.errors import ReportError
from analysis.figures.chart import Chart
from analysis.figures.style import paper_style
from analysis.statistics.summaries import STOPPED
from analysis.tables.architectures import Architectures
from analysis.tables.evidence import Evidence

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

    The function draws in the style of `paper_style`. It returns a Chart, several in a list, or None where the tables
    lack what it shows. Those of its parameters that have no default are needed. They are among:

        results: the tidy table, variants told apart.
        trials: one row a complete trial, variants told apart.
        runs: the `Runs` of both.
        gradients: as `read_gradients` returns it.
        parallelism: the table of `lengthwise parallelism`; other probes by the names of their tables.
        curves: validation scores while training, see `Runs`.
        attention: an AttentionFile a model.
        architectures: what they say of themselves.
    """

    def registered(draw: Draw) -> Draw:
        draw = paper_style()(draw)
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


@dataclass(frozen=True)
class Gallery:
    """The figures by section, in the order they are shown, and sentences on those that had to be left out."""

    sections: dict[str, list[Chart]] = field(default_factory=lambda: defaultdict(list))
    notes: dict[str, str] = field(default_factory=lambda: defaultdict(str))

    def __getitem__(self, section: str) -> list[Chart]:
        return self.sections[section]

    def charts(self) -> Iterator[Chart]:
        """All figures."""
        for section in self.sections.values():
            yield from section


def draw(evidence: Evidence, names: Sequence[str] = ()) -> Gallery:
    """Draw every figure that there are numbers for, or with names only those that can have one of them.

    Raises:
        ReportError: trials that cannot be compared though they look alike; the message names them.
    """
    gallery = Gallery()
    tables = {**vars(evidence), **vars(evidence.runs), **evidence.probes}
    for figure in registered_figures():
        if names and not any(name.startswith(figure.name) for name in names):
            continue
        try:
            gallery[figure.section].extend(figure.charts(tables))
        except LeftOutError as reason:
            gallery.notes.setdefault(figure.section, str(reason))
    return gallery
