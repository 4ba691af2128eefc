"""Length generalisation on synthetic tasks: how far beyond the lengths of training a model keeps what it learnt."""

from collections.abc import Iterator

from analysis.claims.generalisation import has_learnt, in_words, why_not_judged
from analysis.report.blocks import Block, Heading, Paragraph, Table, titled
from analysis.report.context import Report, Section
from analysis.statistics.length_fits import KEPT, EffectiveLength, effective_lengths

LITERATURE = """\
**The claim.** What was learnt up to one length does not carry beyond it by itself. Lake & Baroni (2018,
arXiv:1711.00350) saw recurrent networks with attention fail on longer outputs than those of training; Newman et al.
(2020, arXiv:2010.07174) saw models extrapolate better where the end of the output is given to them; Kazemnejad et al.
(2023, arXiv:2305.19466) saw it depend on how a transformer is told positions."""


def generalisation(report: Report) -> Iterator[Block]:
    """Accuracy beyond the greatest length of training, and the effective length of each architecture."""
    figures = list(report.figures("generalisation"))
    effective = effective_lengths(report.runs.results, report.architectures)
    if not figures and not effective:
        return
    yield Heading("Length generalisation")
    yield Paragraph(LITERATURE)
    yield from figures
    names = report.architectures.names(one.arch for one in effective)
    yield from titled(Table(
        (
            "Architecture", "Task", "Accuracy at the shortest length", "at the greatest", "Effective length",
            "Times the limit", "n (seeds)",
        ),
        [
            (names[one.arch], str(one.setting), one.at_shortest, one.at_longest,
             in_words(one) if has_learnt(one) else why_not_judged(one), _times_the_limit(one), _seeds(one))
            for one in effective
        ],
        "Effective lengths",
        f"The effective length is the greatest at which a model keeps {KEPT:.0%} of its greedy token accuracy above "
        "chance at the shortest length tested, interpolated between lengths in their logarithm; geometric means [95% "
        "t interval over seeds]. `> n`: it keeps it up to the greatest length tested. Below the limit it says that "
        "not all lengths in training were learnt. It is in tokens, of tasks in words in words between two that meet.",
    ), 3)  # fmt: skip


def _times_the_limit(effective: EffectiveLength) -> str:
    return "-" if effective.length is None else f"{effective.length.mean / effective.limit:.2f}"


def _seeds(effective: EffectiveLength) -> str:
    stopped = f" ({effective.stopped} not converged)" if effective.stopped else ""
    return f"{effective.seeds}{stopped}"


SECTIONS = (Section(38, generalisation),)
