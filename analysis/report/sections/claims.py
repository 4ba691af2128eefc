"""The four claims: their verdicts in a table, what each verdict rests on, and the rules that were followed."""

from collections.abc import Iterator, Sequence

from analysis.claims.bottleneck import BOTTLENECK_RULE
from analysis.claims.generalisation import GENERALISATION_RULE
from analysis.claims.gradients import GRADIENT_RULE
from analysis.claims.parallelism import PARALLELISM_RULE
from analysis.claims.verdicts import PARTS_RULE, SETTINGS_RULE, Answer, Verdict
from analysis.report.blocks import Block, Heading, Listing, Paragraph, Table
from analysis.report.context import Report, Section

RULES = (SETTINGS_RULE, BOTTLENECK_RULE, GRADIENT_RULE, PARALLELISM_RULE, GENERALISATION_RULE, PARTS_RULE)
OF_PARTS = {Answer.HOLDS: "yes", Answer.FAILS: "no", Answer.IN_PART: "in part", Answer.UNTOLD: "cannot be told"}


def claims(report: Report) -> Iterator[Block]:
    """A table of the verdicts, and below it what each rests on, part by part."""
    judged = report.verdicts
    yield Heading("The four claims")
    yield _overview(judged)
    for number, verdict in enumerate(judged, start=1):
        yield Heading(f"{number}. {verdict.claim.title}", 3)
        yield Paragraph(verdict.claim.statement)
        if not verdict.findings:
            yield Paragraph(verdict.claim.how_to_measure)
        for finding in verdict.findings:
            yield Paragraph(f"{finding.where[0].upper()}{finding.where[1:]}: ", finding.answer)
            rows = [(part.statement, OF_PARTS[part.answer], part.measured) for part in finding.parts]
            yield Table(("What it says", "So here", "Measured"), rows, prose=True)
    yield Paragraph(
        "Means with 95% intervals over seeds where nothing else is said; n counts the trials behind a mean. The rules "
        "stand under *How verdicts are reached*."
    )


def _overview(judged: Sequence[Verdict]) -> Table:
    rows = []
    for number, verdict in enumerate(judged, start=1):
        answers = [finding.answer for finding in verdict.findings]
        told = f"{sum(answer != Answer.UNTOLD for answer in answers)} of {len(answers)} settings" if answers else "-"
        answer = verdict.answer if answers else "not measured"
        rows.append((f"{number}. {verdict.claim.title}", answer, told, verdict.claim.statement, verdict.claim.by_whom))
    return Table(("Claim", "Verdict", "Told by", "What is claimed", "By whom"), rows, prose=True)


def rules(report: Report) -> Iterator[Block]:
    """The rules that turn numbers into verdicts, in words."""
    yield Heading("How verdicts are reached")
    yield Listing(RULES)


SECTIONS = (Section(10, claims), Section(110, rules))
