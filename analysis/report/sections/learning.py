"""Learning curves: what validation measured while training."""

from collections.abc import Iterator

from analysis.report.blocks import Block, Heading
from analysis.report.context import Report, Section


def learning_curves(report: Report) -> Iterator[Block]:
    """Accuracy or BLEU by steps and by the clock."""
    figures = list(report.figures("learning"))
    if figures:
        yield Heading("Learning curves")
        yield from figures


SECTIONS = (Section(80, learning_curves),)
