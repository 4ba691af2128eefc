"""Every figure of a report, by section."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from analysis.figures.chart import Chart
from analysis.figures.registry import LeftOutError, registered_figures
from analysis.tables.evidence import Evidence


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


def draw(evidence: Evidence) -> Gallery:
    """Draw every figure that there are numbers for.

    Raises:
        ReportError: trials that cannot be compared though they look alike; the message names them.
    """
    gallery = Gallery()
    runs = evidence.runs
    tables = {
        **vars(evidence),
        **evidence.probes,
        "results": runs.results,
        "trials": runs.trials,
        "architectures": runs.architectures,
    }
    for figure in registered_figures():
        try:
            gallery[figure.section].extend(figure.charts(tables))
        except LeftOutError as reason:
            gallery.notes.setdefault(figure.section, str(reason))
    return gallery
