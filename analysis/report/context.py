"""What a section of the report is, and what it is made from."""

import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from analysis.claims.judged import verdicts
from analysis.claims.verdicts import Verdict
from analysis.figures.chart import Chart
from analysis.figures.registry import Gallery
from analysis.report.blocks import Block, Figure, Paragraph
from analysis.report.failures import not_in_means
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

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """What the evidence says of the four claims, in their order."""
        return verdicts(self.evidence)

    @property
    def architectures(self) -> Architectures:
        """What the architectures say of themselves."""
        return self.evidence.runs.architectures

    def figures(self, section: str, lost: Callable[[str], str] | None = None) -> Iterator[Figure]:
        """The figures of a section with their captions.

        Args:
            section: its name.
            lost: the sentence on the trials that the figure of a name lacks; by default on those that are in no mean.
        """
        in_no_mean = not_in_means(self.runs.failures, self.architectures)
        return (
            self._figure(chart, in_no_mean if lost is None else lost(chart.name)) for chart in self.gallery[section]
        )

    def further_figures(self, shown: Collection[str]) -> list[Figure]:
        """Those that no section has shown, as where a figure names a section that there is not."""
        in_no_mean = not_in_means(self.runs.failures, self.architectures)
        return [self._figure(chart, in_no_mean) for chart in self.gallery.charts() if chart.name not in shown]

    def _figure(self, chart: Chart, lost: str) -> Figure:
        """A figure above two paragraphs: what it shows, and where its points and its making are."""
        to_see = f"**What to see.** {chart.to_see} " if chart.to_see else ""
        made = shlex.join([*self.command, "--figures", chart.name])
        caption = f"{chart.caption} {lost} See *Trials left out*." if lost else chart.caption
        shown = f"{to_see}**How it was measured.** {caption}"
        files = (
            f"[PDF](figures/{chart.name}.pdf), [points (CSV)](figures/{chart.name}.csv), "
            f"[LaTeX](latex/{chart.name}.tex). Made by `{made}`"
        )
        return Figure(chart, (Paragraph(shown), Paragraph(files)))


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
