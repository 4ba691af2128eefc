"""LaTeX for those who paste into a paper: a snippet for each figure, and each table of the report.

They need the packages graphicx and booktabs, and cite by the keys of docs/references.bib.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

from markdown_it import MarkdownIt

from analysis.figures.chart import Chart
from analysis.figures.style import COLUMN_WIDTH
from analysis.report.blocks import Block, Heading, Table
from analysis.report.render.markdown import marked

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
# Works as texts name them: Vaswani et al. 2017, Karp & Flatt (1990, ...; one author alone could be any word.
WORK = re.compile(r"([^\W\d_][\w-]+)(?: et al\.|(?:, [\w-]+)* & [\w-]+),?\s\(?((?:19|20)\d\d[a-z]?)\b")
INLINE = MarkdownIt("zero").enable(["emphasis", "backticks"])


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


def table_snippets(blocks: Iterable[Block]) -> dict[str, str]:
    """Every table of a report, by a name made from the heading above it: `table_models`.

    A second table below the same heading is `table_models_2`.
    """
    snippets: dict[str, str] = {}
    title = "report"
    for block in blocks:
        if isinstance(block, Heading):
            title = block.text
        elif isinstance(block, Table):
            name = base = "table_" + re.sub(r"\W+", "_", title.lower()).strip("_")
            number = 1
            while name in snippets:
                number += 1
                name = f"{base}_{number}"
            snippets[name] = table_snippet(name, title, block)
    return snippets


def table_snippet(name: str, title: str, table: Table) -> str:
    """A table environment, across both columns where it would not fit into one."""
    cells = [[marked(cell) for cell in line] for line in [table.header, *table.rows]]
    header, *rows = [" & ".join(map(escaped, line)) + r" \\" for line in cells]
    columns, wide = column_types(cells)
    environment = "table*" if wide else "table"
    return "\n".join([
        rf"\begin{{{environment}}}[t]",
        r"  \centering\small",
        rf"  \caption{{{escaped(title)}}}",
        rf"  \label{{tab:{name.removeprefix('table_')}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {header}",
        r"    \midrule",
        *(f"    {row}" for row in rows),
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
    columns = list(zip(*lines, strict=True))
    longest = [max(map(len, column)) for column in columns]
    letters = sum(longest) + 2 * len(longest)
    if letters <= PAGE_LETTERS:
        return "l" * len(longest), letters > COLUMN_LETTERS
    words = [max(len(word) for cell in column for word in WORD_ENDS.split(cell)) for column in columns]
    room = [max(SHORT_CELL, math.sqrt(cell), word / 2.5) for cell, word in zip(longest, words, strict=True)]
    shares = [width / sum(room) for width in room]
    return "".join(rf"p{{\dimexpr {share:.3f}\linewidth-2\tabcolsep}}" for share in shares), True


def escaped(text: str) -> str:
    """Text, with Markdown's emphasis taken off, as LaTeX prints it."""
    plain = "".join(token.content for token in INLINE.parseInline(text)[0].children or ())
    safe, end = "", 0
    for work in WORK.finditer(plain):
        safe += f"{_safe(plain[end : work.end()])} \\cite{{{citation_key(*work.groups())}}}"
        end = work.end()
    safe += _safe(plain[end:])
    # A row that begins with a bracket would be read as an option of the line break before it.
    return f"{{}}{safe}" if safe.startswith("[") else safe


def _safe(text: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in text)


def citation_key(author: str, year: str) -> str:
    """The key of a work in docs/references.bib: its first author, in plain letters, and its year."""
    letters = unicodedata.normalize("NFKD", author).encode("ascii", "ignore").decode()
    return letters.lower() + year
