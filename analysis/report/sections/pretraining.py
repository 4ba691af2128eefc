"""Pre-training: up to how many labelled examples it pays, and the figure."""

from collections.abc import Iterator

from analysis.claims.pretraining import CLAIM, PRETRAINING_RULE, pretraining_verdict
from analysis.report.blocks import Block, Heading, Paragraph, Table
from analysis.report.context import Report, Section
from analysis.report.sections.claims import OF_PARTS


def pretraining(report: Report) -> Iterator[Block]:
    """The verdict on each task and kind of pre-training, the gain at each number of examples, and the figure."""
    judged = pretraining_verdict(report.runs.results, report.runs.trials, report.architectures)
    if not judged.findings:
        return
    yield Heading("Pre-training")
    yield Paragraph(f"**The claim.** {CLAIM.statement} ({CLAIM.by_whom}): ", judged.answer)
    for finding in judged.findings:
        yield Paragraph(f"{finding.where[0].upper()}{finding.where[1:]}: ", finding.answer)
        rows = [(part.statement, OF_PARTS[part.answer], part.measured) for part in finding.parts]
        yield Table(("What it says", "So here", "Gain in accuracy"), rows, prose=True)
    yield from report.figures("pretraining")
    yield Paragraph(f"**The rule.** {PRETRAINING_RULE}")


SECTIONS = (Section(39, pretraining),)
