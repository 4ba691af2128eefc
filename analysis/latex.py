"""LaTeX for those who paste into a paper: a snippet for each figure, and each table of the report.

They need the packages graphicx and booktabs.
"""

import re
from collections.abc import Sequence

from analysis.bottleneck import Chart
from analysis.style import COLUMN_WIDTH

# What LaTeX reads as a command, and letters that its default fonts lack.
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "·": r"$\cdot$", "²": r"$^2$", "…": r"\dots{}", "≥": r"$\geq$", "\N{MINUS SIGN}": r"$-$", "\N{EN DASH}": "--",
    "→": r"$\to$", "‖": r"$\Vert$", "\N{MULTIPLICATION SIGN}": r"$\times$", "|": r"\textbar{}",
}  # fmt: skip
TABLE = re.compile(r"(?:^\|.*\n)+", re.M)
HEADING = re.compile(r"^#+ (.*)$", re.M)
CELLS = re.compile(r"(?<!\\)\|")


def figure_snippet(chart: Chart, folder: str = "figures") -> str:
    """A figure environment, across both columns where the figure is wider than one.

    Args:
        chart: the figure; its PDF is `folder`/NAME.pdf.
        folder: where the PDF lies, as seen from the paper.
    """
    wide = chart.figure.get_figwidth() > 1.3 * COLUMN_WIDTH
    environment, width = ("figure*", r"\textwidth") if wide else ("figure", r"\columnwidth")
    return "\n".join([
        rf"\begin{{{environment}}}[t]",
        r"  \centering",
        rf"  \includegraphics[width={width}]{{{folder}/{chart.name}.pdf}}",
        rf"  \caption{{{escaped(chart.caption)}}}",
        rf"  \label{{fig:{chart.name}}}",
        rf"\end{{{environment}}}",
        "",
    ])  # fmt: skip


def table_snippets(report: str) -> dict[str, str]:
    """Every table of a report in Markdown, by a name made from the heading above it: `table_models`.

    A second table below the same heading is `table_models_2`.
    """
    found: dict[str, str] = {}
    for table in TABLE.finditer(report + "\n"):
        headings = HEADING.findall(report[: table.start()])
        title = headings[-1] if headings else "report"
        name = base = "table_" + re.sub(r"\W+", "_", title.lower()).strip("_")
        number = 1
        while name in found:
            number += 1
            name = f"{base}_{number}"
        header, _, *rows = [_cells(line) for line in table[0].splitlines()]
        found[name] = table_snippet(name, title, header, rows)
    return found


def table_snippet(name: str, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table environment; the first column is text, the others are aligned to the left as well, as intervals are."""
    lines = [" & ".join(map(escaped, cells)) + r" \\" for cells in [header, *rows]]
    return "\n".join([
        r"\begin{table}[t]",
        r"  \centering\small",
        rf"  \caption{{{escaped(title)}}}",
        rf"  \label{{tab:{name.removeprefix('table_')}}}",
        rf"  \begin{{tabular}}{{{'l' * len(header)}}}",
        r"    \toprule",
        f"    {lines[0]}",
        r"    \midrule",
        *(f"    {line}" for line in lines[1:]),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
        "",
    ])  # fmt: skip


def escaped(text: str) -> str:
    """Text, with Markdown's emphasis taken off, as LaTeX prints it."""
    plain = re.sub(r"\*\*?([^*]+)\*\*?|`([^`]+)`", r"\1\2", text)
    # A row that begins with a bracket would be read as an option of the line break before it.
    safe = "".join(ESCAPES.get(letter, letter) for letter in plain)
    return f"{{}}{safe}" if safe.startswith("[") else safe


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in CELLS.split(line)[1:-1]]
