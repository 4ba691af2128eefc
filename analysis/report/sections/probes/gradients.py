"""Gradient flow: what textbooks say of it, decay and horizon of each architecture, and what remedies do."""

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.claims.gradients import EXPONENTIAL, statements
from analysis.claims.remedies import Remedy, remedies, variant_label
from analysis.claims.verdicts import Answer
from analysis.report.blocks import Block, Cell, Heading, Listing, Paragraph, Table
from analysis.report.context import Report, Section
from analysis.report.failures import cut_short, not_fitted, not_in_means
from analysis.statistics.gradient_fits import FLOAT_FLOOR, LEAST_R_SQUARED, WHEN, Fit, Horizon, both_phases, fits
from analysis.statistics.summaries import count_phrase
from analysis.statistics.words import interval, r_squared_text
from analysis.tables.architectures import Architectures

LITERATURE = """\
**The claim.** The gradient that reaches a source token shrinks exponentially with its distance from the loss in a
vanilla RNN (Hochreiter 1991; Bengio et al. 1994; Pascanu et al. 2013, arXiv:1211.5063), slower in an LSTM or a GRU, and
hardly at all where attention makes the path short (Vaswani et al. 2017, arXiv:1706.03762, Table 1). Measured here at
the source embeddings, before clipping."""
REMEDY_RULE = (
    "Each variant beside the baseline of its architecture. Slower: its gradient decays slower, after training where "
    "both were measured then; better: it recalls the first source token more often at the greatest lag that several "
    "variants were tested at. Both are decided where 95% intervals over seeds do not overlap. Figures of "
    "gradient norm and accuracy by all architectures leave variants with a baseline to the figure of remedies."
)
ANSWERS = {True: "yes", False: "no", None: "cannot be told"}
AGREEMENT = {
    Answer.HOLDS: "agrees", Answer.IN_PART: "agrees in part", Answer.FAILS: "disagrees", Answer.UNTOLD: "cannot be told"
}  # fmt: skip
WITH_ACCURACIES = ("accuracy_by_lag", "remedies")  # figures that lack the trials that are in no mean


def gradients(report: Report) -> Iterator[Block]:
    """The claim of the literature, what was measured, and the figures."""
    table, failures = report.evidence.gradients, report.runs.failures
    if table.empty:
        return
    yield Heading("Gradient flow")
    yield Paragraph(LITERATURE)
    yield from gradient_tables(table, report.runs.results, report.architectures, 3)
    ended = cut_short(failures, table, report.architectures)
    in_no_mean = not_in_means(failures, report.architectures)
    yield from report.figures("gradients", lambda name: in_no_mean if name in WITH_ACCURACIES else ended)


def gradient_tables(
    table: pd.DataFrame, results: pd.DataFrame | None, architectures: Architectures, level: int = 2
) -> Iterator[Block]:
    """Statements and tables.

    Args:
        table: as `read_gradients` returns it.
        results: the tidy table of trials, if any.
        architectures: what they say of themselves.
        level: that of the headings.
    """
    if fitted := fits(table, architectures):
        yield Heading("What textbooks say", level)
        yield Listing(list(_textbooks(fitted, architectures)))
        yield Heading("Decay and horizon", level)
        yield Paragraph(_definitions(fitted) + not_fitted(table, architectures))
        yield decay_table(table, architectures)
        yield _fit_table(fitted, architectures)
    if remedied := remedies(table, results, architectures):
        yield Heading("Remedies", level)
        yield Paragraph(REMEDY_RULE)
        yield _remedy_table(remedied, architectures)


def _textbooks(fitted: Sequence[Fit], architectures: Architectures) -> Iterator[str]:
    """A line for each sentence of textbooks, task and phase."""
    settings = statements(fitted, architectures)
    for parts in zip(*settings.values(), strict=True):
        for where, part in zip(settings, parts, strict=True):
            if part.statement != EXPONENTIAL:
                yield f"{part.statement} ({where}): **{AGREEMENT[part.answer]}**: {part.measured}."


def decay_table(table: pd.DataFrame, architectures: Architectures) -> Table:
    """Decay and horizon of each line at initialisation and after training side by side."""
    lines = both_phases(table, architectures)
    names = architectures.names(line.name for line in lines)
    phases = [phase for phase in WHEN if any(getattr(line, phase) for line in lines)]
    columns = [f"{number} {WHEN[phase]}" for phase in phases for number in ("decay", "horizon")]
    rows: list[Sequence[Cell]] = []
    for line in lines:
        by_phase: list[Fit | None] = [getattr(line, phase) for phase in phases]
        cells = [cell for fit in by_phase for cell in _decay_and_horizon(fit)]
        rows.append((names[line.name], line.task, line.length, *cells, _seeds(by_phase)))
    return Table(("architecture", "task", "length", *columns, "seeds"), rows)


def horizon_text(horizon: Horizon) -> str:
    """`12.5 [11.0, 14.0]`, `> 100`, `> 100 in 1 of 3 seeds`, or `-` without any signal."""
    if horizon.reached is not None or not horizon.seeds:
        return interval(horizon.reached, 1)
    some = f" in {horizon.beyond} of {horizon.seeds} seeds" if horizon.beyond < horizon.seeds else ""
    return f"> {horizon.furthest}{some}"


def _decay_and_horizon(fit: Fit | None) -> tuple[Cell, Cell]:
    return (None, None) if fit is None else (fit.decay, horizon_text(fit.horizon))


def _definitions(fitted: Sequence[Fit]) -> str:
    """What decay, horizon and exponential mean, and how many norms were too small to count."""
    floored = sum(fit.at_floor for fit in fitted)
    return (
        "Decay per step is exp of the slope of log norm against distance, by ordinary least squares for each seed; its "
        "interval is the 95% t interval of the slopes over seeds. The effective horizon is the smallest distance at "
        "which the norm has fallen to 1% of that at the least distance, as geometric mean over seeds with its 95% t "
        "interval; `> n`: it does "
        f"not within the n steps measured. A decay is called exponential where R² of this fit is at least "
        f"{LEAST_R_SQUARED} in every seed and the interval of decay lies below 1. With one seed there is no interval, "
        f"so nothing is decided. Norms at the float floor (at or below {FLOAT_FLOOR:.0e}) are left out of fits: "
        f"{floored} in all."
    )


def _fit_table(fitted: Sequence[Fit], architectures: Architectures) -> Table:
    """How well an exponential fits each line of each phase."""
    names = architectures.names(fit.name for fit in fitted)
    header = ("architecture", "task", "length", "phase", "n (seeds)", "R²", "exponential", "at float floor")
    rows = [
        (names[fit.name], fit.task, fit.length, WHEN[fit.phase], fit.decay.count if fit.decay else 0,
         r_squared_text(fit.r_squared), ANSWERS[fit.exponential], fit.at_floor)
        for fit in fitted
    ]  # fmt: skip
    return Table(header, rows)


def _remedy_table(remedied: Sequence[Remedy], architectures: Architectures) -> Table:
    header = (
        "architecture", "remedy", "task", "length", "decay at initialisation", "decay after training", "slower",
        "accuracy", "better", "seeds",
    )  # fmt: skip
    rows = [
        (architectures[remedy.arch].display_name, variant_label(remedy.variant), remedy.task, remedy.length,
         remedy.initial and remedy.initial.decay, remedy.trained and remedy.trained.decay,
         ANSWERS[remedy.slower] if remedy.variant else "-", remedy.accuracy,
         ANSWERS[remedy.better] if remedy.variant and remedy.accuracy else "-",
         _seeds([remedy.initial, remedy.trained]))
        for remedy in remedied
    ]  # fmt: skip
    return Table(header, rows)


def _seeds(by_phase: Sequence[Fit | None]) -> str:
    counts = [fit.horizon.seeds for fit in by_phase if fit]
    return count_phrase(counts) if counts else "-"


SECTIONS = (
    Section(50, gradients, "gradients", "The section on gradient flow is computed from gradients.csv as well."),
)  # fmt: skip
