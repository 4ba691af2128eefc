"""What a section of the report is, and what it is made from."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analysis.figures.chart import Chart
from analysis.report.blocks import Block, Figure, Paragraph
from analysis.report.failures import not_in_means
from analysis.report.figures import Gallery, what_to_see
from analysis.tables.architectures import Architectures
from analysis.tables.evidence import Evidence
from analysis.tables.trial_folders import Runs


@dataclass(frozen=True)
class Report:
    """The evidence, its figures, and the words of the command line that makes the report."""

    evidence: Evidence
    gallery: Gallery
    command: Sequence[str]

    @property
    def runs(self) -> Runs:
        """The trials, with variants of an architecture told apart."""
        return self.evidence.runs

    @property
    def architectures(self) -> Architectures:
        """What the architectures say of themselves."""
        return self.evidence.runs.architectures

    def figures(self, charts: Iterable[Chart], lost: str | None = None) -> Iterator[Figure]:
        """Figures with their captions.

        Args:
            charts: what to show.
            lost: a sentence on trials that the figures lack; by default on those that are in no mean.
        """
        lost = not_in_means(self.runs.failures, self.architectures) if lost is None else lost
        return (self.figure(chart, f" {lost} See *Trials left out*." if lost else "") for chart in charts)

    def figure(self, chart: Chart, lost: str = "", source: str = "") -> Figure:
        """A figure above two paragraphs: what it shows, and where its points and its making are."""
        see = what_to_see(chart.name)
        made = shlex.join([*self.command, "--figures", chart.name])
        shown = f"{f'**What to see.** {see} ' if see else ''}**How it was measured.** {chart.caption}{lost}"
        files = (
            f"[PDF](figures/{chart.name}.pdf), [points (CSV)](figures/{chart.name}.csv), "
            f"[LaTeX](latex/{chart.name}.tex). Made by `{made}`"
        )
        return Figure(chart, (Paragraph(shown), Paragraph(files)), source)


class Section(NamedTuple):
    """A section of the report; every file in sections/ lists its own as `SECTIONS`.

    Attributes:
        place: sections stand in this order.
        blocks: what it says; nothing where the evidence holds nothing for it.
        subject: what length did something to, for the title of a report that has this section.
        origin: a sentence on the tables that its numbers were computed from.
    """

    place: int
    blocks: Callable[[Report], Iterator[Block]]
    subject: str = ""
    origin: str = ""
