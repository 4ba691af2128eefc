"""The page of a reproduction, and reproduction.json, the little of it that is kept."""

import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from analysis.claims.verdicts import Agreement
from analysis.errors import ReportError
from analysis.figures.chart import save_chart
from analysis.files import replacing
from analysis.report.blocks import Block, Code, Figure, Heading, Listing, Paragraph, Table
from analysis.report.render import markdown, terminal
from analysis.report.render.html import page
from analysis.report.render.latex import figure_snippet, table_snippets
from analysis.reproductions.figure import published_phrase, reproduction_figure
from analysis.reproductions.observations import POINTS, observe, points
from analysis.reproductions.published import Reproduction
from analysis.reproductions.rules import (
    CROSSING_RULE,
    ORDER_RULE,
    RANGE_RULE,
    TOGETHER_RULE,
    Judged,
    judge,
    together,
    words,
)
from analysis.statistics.summaries import STOPPED, interval_of
from analysis.tables.trial_folders import Runs, load_runs, read_probe_environments

KEPT = "reproduction.json"
NOT_RUN = "not run yet"


def write_page(reproduction: Reproduction, folder: Path, command: str, trials: Collection[str] | None = None) -> str:
    """Write reproduction.md and .html, figures/, latex/ and, last, reproduction.json of what a folder holds.

    Args:
        reproduction: what was to be measured.
        folder: with its trials or the table of its probe.
        command: what makes it again.
        trials: the names of those that count; None for all in the folder.

    Returns:
        The tables, the answer and how many trials do not count, for a terminal.

    Raises:
        ReportError: a file that cannot be understood.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = load_runs([folder])
    runs = found if trials is None else _of_trials(found, trials)
    observed = observe(reproduction, folder, runs)
    kept = Kept(points(observed, reproduction), judge(reproduction, observed))
    blocks = [*finding(reproduction, kept), *_details(reproduction, kept.measured, command)]
    ran_on = pd.concat([runs.environments, read_probe_environments([folder])])
    snippets = table_snippets(blocks)
    for block in blocks:
        if isinstance(block, Figure):
            save_chart(block.chart, folder / "figures")
            snippets[block.chart.name] = figure_snippet(block.chart)
    for name, snippet in snippets.items():
        _write(folder / "latex" / f"{name}.tex", snippet)
    _write(folder / "reproduction.md", markdown.document(blocks))
    _write(folder / "reproduction.html", page(blocks, [line.name for line in reproduction.lines]))
    _write(folder / KEPT, json.dumps(_content(reproduction, kept, ran_on, command), indent=1) + "\n")
    claims = [Paragraph(f"{one.says}\n  {one.answer}: {one.measured}") for one in kept.judged]
    answer = Paragraph(f"together: {_together(kept.judged)}")
    others = len(found.trials) - len(runs.trials)
    left_out = [Paragraph(f"trials in {folder} that are not of this sweep, left out: {others}")] * (others > 0)
    return terminal.plain_text([points_table(reproduction, kept.measured), *claims, answer, *left_out])


def points_table(reproduction: Reproduction, measured: pd.DataFrame) -> Table:
    """Theirs beside ours: a row for each line and place that was measured or published."""
    theirs = {(point.line, point.x): point.value for point in reproduction.published.points}
    ours = {(row["line"], row["x"]): row for _, row in measured.iterrows()}
    unit = f", {reproduction.published.measure}" if reproduction.published.measure else ""
    header = ("line", reproduction.axis, f"published{unit}", "measured", "best seed", "not converged")
    rows = []
    names = [line.name for line in reproduction.lines]
    keys = sorted({*theirs, *ours}, key=lambda key: (names.index(key[0]), -1.0 if key[1] is None else key[1]))
    for line, x in keys:
        row = ours.get((line, x))
        found = ["-"] * 3
        if row is not None:
            found = [words(interval_of(row)), f"{row['best']:.4g}", int(row[STOPPED])]
        published = theirs.get((line, x))
        rows.append((line, "all" if x is None else f"{x:g}", "-" if published is None else f"{published:g}", *found))
    return Table(header, rows, name=f"{reproduction.name}_points")


class Kept(NamedTuple):
    """What reproduction.json holds: the means over seeds and what the rules said of them."""

    measured: pd.DataFrame
    judged: list[Judged]


def read_kept(path: Path) -> Kept | None:
    """What is kept in a file; None where there is none.

    Raises:
        ReportError: a file that cannot be understood.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        judged = [Judged(one["says"], Agreement(one["answer"]), one["measured"]) for one in content["claims"]]
        return Kept(pd.DataFrame(content["points"], columns=POINTS), judged)
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{path}: not what lengthwise reproduce writes ({error}); remove it") from None


def states(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """The answer kept below a folder for each reproduction of these names, or that it was not run.

    Raises:
        ReportError: a file that cannot be understood.
    """
    kept = {name: read_kept(folder / name / KEPT) for name in names}
    return {name: NOT_RUN if one is None else str(_together(one.judged)) for name, one in kept.items()}


def finding(reproduction: Reproduction, kept: Kept, level: int = 1, pdf: bool = True) -> Iterator[Block]:
    """What was claimed, and what was found: the answer, the figure and the claims.

    Args:
        reproduction: what was to be measured.
        kept: what was measured.
        level: of the heading.
        pdf: whether the figure lies in figures/ as a PDF too.
    """
    answer = _together(kept.judged)
    where = f"[{reproduction.paper}]({reproduction.link}), {reproduction.where}"
    yield Heading(reproduction.title.rstrip("."), level)
    yield Paragraph(f"{where}. {published_phrase(reproduction)} What differs here: {reproduction.differs}")
    yield Paragraph("What was measured here, beside what was published: it ", answer)
    chart = reproduction_figure(reproduction, kept.measured)
    if chart is not None:
        link = f"[PDF](figures/{chart.name}.pdf), " if pdf else ""
        yield Figure(chart, (Paragraph(f"*{chart.caption}* {link}[points (CSV)](figures/{chart.name}.csv)"),))
    yield Heading("Claims", level + 1)
    yield Table(("Claim", "Answer", "Measured"), kept.judged, prose=True)
    if reproduction.tried and answer != Agreement.AGREES:
        yield Paragraph(f"**What was tried.** {reproduction.tried}")


def _details(reproduction: Reproduction, measured: pd.DataFrame, command: str) -> Iterator[Block]:
    yield Heading("Points")
    yield points_table(reproduction, measured)
    yield Heading("How it was decided")
    yield Listing((ORDER_RULE, RANGE_RULE, CROSSING_RULE, TOGETHER_RULE))
    yield Heading("How it was made")
    yield Paragraph(f"Size: {reproduction.size}, {reproduction.cost}. The command continues where it was stopped.")
    yield Code(command)


def _of_trials(runs: Runs, names: Collection[str]) -> Runs:
    """What a reproduction takes of its trials, of those with these names alone."""
    tables = {"results": runs.results, "trials": runs.trials, "environments": runs.environments}
    return replace(runs, **{name: table[table["trial"].isin(names)] for name, table in tables.items()})


def _together(judged: Sequence[Judged]) -> Agreement:
    return together([one.answer for one in judged])


def _content(reproduction: Reproduction, kept: Kept, ran_on: pd.DataFrame, command: str) -> dict[str, Any]:
    origin = {key: sorted(set(ran_on[key].dropna())) for key in ("commit", "device", "processor")}
    return {
        "size": reproduction.size,
        "answer": _together(kept.judged),
        "claims": [one._asdict() for one in kept.judged],
        "points": [dict(zip(POINTS, map(_short, row), strict=True)) for row in kept.measured.itertuples(index=False)],
        "command": command,
        **origin,
    }


def _short(value: Any) -> Any:
    """A number in six significant digits; None where it is missing."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
