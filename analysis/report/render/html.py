"""Blocks as one HTML file that needs nothing else: figures, style and script stand inside."""

import base64
import io
import json
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt

from analysis.claims.verdicts import Agreement, Answer
from analysis.figures.chart import Chart
from analysis.figures.style import paper_style
from analysis.report.blocks import Block, Code, Heading, Listing, Paragraph, Table, Words, cell_text
from analysis.report.render.svg import inline_svg, sizes

CLASSES = {
    **{Answer.HOLDS: "holds", Answer.IN_PART: "part", Answer.FAILS: "fails", Answer.UNTOLD: "untold"},
    **dict(zip(Agreement, ("holds", "part", "fails", "untold"), strict=True)),
}
INLINE = MarkdownIt("commonmark", {"html": False})


def page(blocks: Sequence[Block | Words], names: Sequence[str] = ()) -> str:
    """The HTML of a report.

    Args:
        blocks: the first is its title.
        names: display names of architectures in the order of legends.
    """
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    kinds = {
        "heading": Heading,
        "paragraph": Paragraph,
        "listing": Listing,
        "code": Code,
        "table": Table,
        "words": Words,
    }
    for name, kind in (kinds | {"answer": Answer | Agreement}).items():
        environment.tests[name] = lambda value, kind=kind: isinstance(value, kind)
    environment.filters |= {"inline": INLINE.renderInline, "cell_text": cell_text, "json": json.dumps}
    environment.filters |= {"svg": lambda chart: inline_svg(chart.figure, chart.name), "png": _png, "sizes": sizes}
    return environment.from_string(_resource("report.html.j2")).render(
        title=next(block.text for block in blocks if isinstance(block, Heading)),
        order=json.dumps([name.removesuffix(" attention") for name in names]),
        style=_resource("report.css"),
        scripts=[_resource("report.js"), *[_resource("words.js")] * any(isinstance(block, Words) for block in blocks)],
        blocks=list(_anchored(blocks)),
        classes=CLASSES,
    )


def _anchored(blocks: Sequence[Block | Words]) -> Iterator[tuple[Block | Words, str]]:
    """Blocks, headings below the title with an id of their own."""
    used = set()
    for block in blocks:
        anchor = ""
        if isinstance(block, Heading) and block.level > 1:
            anchor = slug = re.sub(r"[^a-z0-9]+", "-", block.text.lower()).strip("-")
            number = 1
            while anchor in used:
                number += 1
                anchor = f"{slug}-{number}"
            used.add(anchor)
        yield block, anchor


def _png(chart: Chart) -> str:
    """A picture in base64."""
    buffer = io.BytesIO()
    with paper_style():
        chart.figure.savefig(buffer, format="png", dpi=150)
    return base64.b64encode(buffer.getvalue()).decode()


def _resource(name: str) -> str:
    return files("analysis.report.render").joinpath(name).read_text(encoding="utf-8")
