"""LaTeX for those who paste into a paper: a snippet for each figure, and each table of the report.

They need the packages graphicx and booktabs.
"""

import math
import re
from collections.abc import Sequence

from analysis.figures.chart import Chart
from analysis.figures.style import COLUMN_WIDTH

# What LaTeX reads as a command, and letters that its default fonts lack.
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "·": r"$\cdot$", "²": r"$^2$", "…": r"\dots{}", "≥": r"$\geq$", "\N{MINUS SIGN}": r"$-$", "\N{EN DASH}": "--",
    "→": r"$\to$", "‖": r"$\Vert$", "\N{MULTIPLICATION SIGN}": r"$\times$", "|": r"\textbar{}",
}  # fmt: skip
COLUMN_LETTERS, PAGE_LETTERS = 45, 95  # what fits into one column of a page, and into both, in small type
SHORT_CELL = 3.5  # the root of the letters that any column has room for
WORD_ENDS = re.compile(r"[\s-]+")
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
    """A table environment, across both columns where it would not fit into one."""
    lines = [" & ".join(map(escaped, cells)) + r" \\" for cells in [header, *rows]]
    columns, wide = column_types([header, *rows])
    environment = "table*" if wide else "table"
    return "\n".join([
        rf"\begin{{{environment}}}[t]",
        r"  \centering\small",
        rf"  \caption{{{escaped(title)}}}",
        rf"  \label{{tab:{name.removeprefix('table_')}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {lines[0]}",
        r"    \midrule",
        *(f"    {line}" for line in lines[1:]),
        r"    \bottomrule",
        r"  \end{tabular}",
        rf"\end{{{environment}}}",
        "",
    ])  # fmt: skip


def column_types(lines: Sequence[Sequence[str]]) -> tuple[str, bool]:
    """What LaTeX has to know of the columns, and whether the table is wider than one column of a page.

    All columns are aligned to the left, as intervals are. Where they do not fit side by side, their cells are broken
    into lines, and each gets room by its longest cell and its longest word.
    """
    longest = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    letters = sum(longest) + 2 * len(longest)
    if letters <= PAGE_LETTERS:
        return "l" * len(longest), letters > COLUMN_LETTERS
    words = [
        max(len(word) for line in lines for word in WORD_ENDS.split(line[column])) for column in range(len(longest))
    ]
    room = [max(SHORT_CELL, math.sqrt(cell), word / 2.5) for cell, word in zip(longest, words, strict=True)]
    shares = [each / sum(room) for each in room]
    return "".join(rf"p{{\dimexpr {share:.3f}\linewidth-2\tabcolsep}}" for share in shares), True


def escaped(text: str) -> str:
    """Text, with Markdown's emphasis taken off, as LaTeX prints it."""
    plain = re.sub(r"\*\*?([^*]+)\*\*?|`([^`]+)`", r"\1\2", text)
    # A row that begins with a bracket would be read as an option of the line break before it.
    safe = "".join(ESCAPES.get(letter, letter) for letter in plain)
    return f"{{}}{safe}" if safe.startswith("[") else safe


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in CELLS.split(line)[1:-1]]
