"""What gradients.md and the report say about gradient flow: statements, tables and figures as Markdown."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.claims.gradients import EXPONENTIAL, statements
from analysis.claims.remedies import Remedy, remedies, variant_label
from analysis.claims.verdicts import Answer
from analysis.figures.chart import Chart, save_chart
from analysis.figures.gradients.command import gradient_charts
from analysis.files import replacing
from analysis.report import markdown
from analysis.statistics.gradient_fits import FLOAT_FLOOR, LEAST_R_SQUARED, WHEN, Fit, Horizon, both_phases, fits
from analysis.statistics.summaries import count_phrase
from analysis.statistics.words import interval, r_squared_text
from analysis.tables.architectures import Architectures

SAID = {True: "yes", False: "no", None: "cannot be told"}
AGREEMENT = {
    Answer.HOLDS: "agrees", Answer.IN_PART: "agrees in part", Answer.FAILS: "disagrees", Answer.UNTOLD: "cannot be told"
}  # fmt: skip


def gradient_sections(
    table: pd.DataFrame,
    results: pd.DataFrame | None,
    charts: Sequence[Chart],
    architectures: Architectures,
    heading: str = "##",
) -> list[str]:
    """Headings, sentences, tables and figures, each a piece of Markdown.

    Args:
        table: as `read_gradients` returns it.
        results: the tidy table of trials, if any.
        charts: the figures, which lie in figures/.
        architectures: what the architectures say of themselves.
        heading: what headings begin with.
    """
    found = fits(table, architectures)
    remedied = remedies(table, results, architectures)
    sections = []
    if found:
        sections += [
            f"{heading} What textbooks say",
            said(found, architectures),
            f"{heading} Decay and horizon",
            definitions(found),
        ]
        sections += [markdown.table(*summary(table, architectures)), markdown.table(*_details(found, architectures))]
    if remedied:
        sections += [f"{heading} Remedies", REMEDY_RULE, markdown.table(*_remedy_table(remedied, architectures))]
    if charts:
        sections += [f"{heading} Figures", *map(_figure, charts)]
    return sections


def write_report(
    table: pd.DataFrame, folder: Path, architectures: Architectures, results: pd.DataFrame | None = None
) -> str:
    """Write figures/ (PNG, PDF and the CSV of exactly the points) and gradients.md into a folder.

    Args:
        table: as `read_gradients` returns it.
        folder: where to.
        architectures: what the architectures say of themselves.
        results: the tidy table of finished trials, for accuracy against lag.

    Returns:
        Decay per step and effective horizon as a plain-text table.

    Raises:
        OSError: the folder cannot be written.
    """
    charts = gradient_charts(table, results)
    title = "# Gradient flow: what reaches a source token, by its distance from the loss"
    text = "\n\n".join([title, *gradient_sections(table, results, charts, architectures)]) + "\n"
    for chart in charts:
        save_chart(chart, folder / "figures")
    with replacing(folder / "gradients.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return markdown.plain_table(*summary(table, architectures))


def said(found: Sequence[Fit], architectures: Architectures) -> str:
    """One line for each sentence of textbooks, task and phase: verdict and numbers."""
    settings = statements(found, architectures)
    return "\n".join(
        f"- {part.statement} ({where}): **{AGREEMENT[part.answer]}**: {part.measured}."
        for parts in zip(*settings.values(), strict=True)
        for where, part in zip(settings, parts, strict=True)
        if part.statement != EXPONENTIAL
    )


def definitions(found: Sequence[Fit]) -> str:
    """What decay, horizon and exponential mean, and how many norms were too small to count."""
    floored = sum(fit.at_floor for fit in found)
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


def summary(table: pd.DataFrame, architectures: Architectures) -> tuple[list[str], list[list[str]]]:
    """Header and rows: decay and horizon of each line at initialisation and after training side by side."""
    lines = both_phases(table, architectures)
    names = architectures.names(change.name for change in lines)
    phases = [phase for phase in WHEN if any(getattr(change, phase) for change in lines)]
    header = ["architecture", "task", "length"]
    header += [f"{what} {WHEN[phase]}" for phase in phases for what in ("decay", "horizon")] + ["seeds"]
    rows = []
    for change in lines:
        own = [getattr(change, phase) for phase in phases]
        numbers = [cell for fit in own for cell in _decay_and_horizon(fit)]
        rows.append([names[change.name], change.task, str(change.length), *numbers, _seeds(own)])
    return header, rows


def horizon_text(horizon: Horizon) -> str:
    """`12.5 [11.0, 14.0]`, `> 100`, `> 100 in 1 of 3 seeds`, or `-` without any signal."""
    if horizon.reached is not None or not horizon.seeds:
        return interval(horizon.reached, 1)
    some = f" in {horizon.beyond} of {horizon.seeds} seeds" if horizon.beyond < horizon.seeds else ""
    return f"> {horizon.furthest}{some}"


def _decay_and_horizon(fit: Fit | None) -> list[str]:
    return ["-", "-"] if fit is None else [interval(fit.decay), horizon_text(fit.horizon)]


def _details(found: Sequence[Fit], architectures: Architectures) -> tuple[list[str], list[list[object]]]:
    """Header and rows: how well an exponential fits each line of each phase."""
    names = architectures.names(fit.name for fit in found)
    header = ["architecture", "task", "length", "phase", "n (seeds)", "R²", "exponential", "at float floor"]
    rows: list[list[object]] = [
        [names[fit.name], fit.task, fit.length, WHEN[fit.phase], fit.decay.count if fit.decay else 0,
         r_squared_text(fit.r_squared), SAID[fit.exponential], fit.at_floor]
        for fit in found
    ]  # fmt: skip
    return header, rows


REMEDY_RULE = (
    "Each variant beside the baseline of its architecture. Slower: its gradient decays slower, after training where "
    "both were measured then; better: it recalls the first source token more often at the greatest lag that several "
    "variants were tested at. Both are decided where 95% intervals over seeds do not overlap. Figures of "
    "gradient norm and accuracy by all architectures leave variants with a baseline to the figure of remedies."
)


def _remedy_table(remedied: Sequence[Remedy], architectures: Architectures) -> tuple[list[str], list[list[object]]]:
    header = ["architecture", "remedy", "task", "length", "decay at initialisation", "decay after training", "slower"]
    header += ["accuracy", "better", "seeds"]
    rows: list[list[object]] = [
        [architectures[one.arch].display_name, variant_label(one.variant), one.task, one.length,
         interval(one.initial.decay if one.initial else None),
         interval(one.trained.decay if one.trained else None), SAID[one.slower] if one.variant else "-",
         interval(one.accuracy), SAID[one.better] if one.variant and one.accuracy else "-",
         _seeds([one.initial, one.trained])]
        for one in remedied
    ]  # fmt: skip
    return header, rows


def _seeds(found: Sequence[Fit | None]) -> str:
    counts = [fit.horizon.seeds for fit in found if fit]
    return count_phrase(counts) if counts else "-"


def _figure(chart: Chart) -> str:
    link = f"figures/{chart.name}"
    title = chart.name.replace("_", " ")
    return f"![{title}]({link}.png)\n\n*{chart.caption}* [PDF]({link}.pdf), [points]({link}.csv)"
