"""What came out of the reproductions; `python docs/figures/reproductions.py` writes it from what is committed of them.

That is docs/reproduced.md with its figures, and the table of docs/reproductions.md.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from analysis.figures.chart import save_chart
from analysis.report.blocks import Block, Figure, Heading, Paragraph
from analysis.report.render import markdown
from analysis.reproductions.page import KEPT, finding, read_kept
from experiments.reproductions.reproduction_file import find, names, read_reproduction
from experiments.verbs.reproduce import overview

DOCS = Path(__file__).parents[1]
RESULTS = DOCS / "reference" / "reproductions"
TABLE = re.compile(r"^\| name \| paper \|.*?\n(?=\n)", re.M | re.S)
ABOUT = (
    "What `lengthwise reproduce NAME` found in its small form, on the machine named in the files of "
    "[reference/reproductions](reference/reproductions), which `make report` makes this page from. "
    "[The page on reproductions](reproductions.md) says how they are decided, run and written."
)


def blocks() -> Iterator[Block]:
    """The page: every reproduction of which a result is committed."""
    yield Heading("Published results, as they came out here", 1)
    yield Paragraph(ABOUT)
    for name in names():
        kept = read_kept(RESULTS / name / KEPT)
        if kept is not None:
            yield from finding(read_reproduction(find(name)), kept, level=2, pdf=False)


def table() -> str:
    """The table of docs/reproductions.md."""
    return markdown.document([overview(RESULTS)])


if __name__ == "__main__":
    page = list(blocks())
    for block in page:
        if isinstance(block, Figure):
            save_chart(block.chart, DOCS / "figures")
            print(DOCS / "figures" / f"{block.chart.name}.png")
    (DOCS / "reproduced.md").write_text(markdown.document(page), encoding="utf-8")
    listed = DOCS / "reproductions.md"
    listed.write_text(TABLE.sub(lambda _: table(), listed.read_text(encoding="utf-8")), encoding="utf-8")
