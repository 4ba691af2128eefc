"""From a report in Markdown to one HTML file that needs nothing else: figures, style and script stand inside."""

import base64
import html
import io
import json
import re
from collections.abc import Mapping
from importlib.resources import files

from markdown_it import MarkdownIt

from analysis.claims.verdicts import Answer
from analysis.figures.chart import Chart
from analysis.figures.style import paper_style
from analysis.report.svg import inline_svg, sizes
from analysis.tables.architectures import BUILT_IN

FIGURE = re.compile(
    r'<p><img src="figures/([^"/]+)\.png" alt="([^"]*)" ?/?></p>\n((?:<p>(?:(?!<p>).)*</p>\n){2})', re.S
)
PROSE = re.compile(r"<table>(\n<thead>\n<tr>\n<th>(?:Claim|What it says)</th>)")  # tables that read as text on a phone
HEADING = re.compile(r"<h([23])>(.*?)</h\1>")
CLASSES = {Answer.HOLDS: "holds", Answer.IN_PART: "part", Answer.FAILS: "fails", Answer.UNTOLD: "untold"}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="lengthwise report">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main data-order="{order}">
{body}</main>
<script>
{script}</script>
</body>
</html>
"""


def page(report: str, charts: Mapping[str, Chart], maps: Mapping[str, str] | None = None) -> str:
    """The HTML of a report.

    Args:
        report: its Markdown; a figure is an image `figures/NAME.png` with two paragraphs below it.
        charts: the figures by name.
        maps: of figures that a slider moves through, what it says of each, in order.
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(report)
    body = FIGURE.sub(lambda found: _figure(charts[found[1]], found[2], found[3], (maps or {}).get(found[1])), body)
    body = PROSE.sub(r'<table class="prose">\1', body)
    body = re.sub(r"<table( class=\"prose\")?>", r'<div class="wide" tabindex="0"><table\1>', body)
    body = body.replace("</table>", "</table></div>")
    for answer, name in CLASSES.items():
        body = body.replace(f"<strong>{answer}</strong>", f'<strong class="verdict {name}">{answer}</strong>')
    body, contents = _anchored(body)
    body = body.replace("</h1>\n", f"</h1>\n{contents}", 1)
    title = re.sub("<[^>]+>", "", body.partition("<h1>")[2].partition("</h1>")[0])
    order = html.escape(json.dumps([known.display_name.removesuffix(" attention") for known in BUILT_IN]))
    return PAGE.format(
        title=title, order=order, style=_resource("report.css"), body=body, script=_resource("report.js")
    )


def _figure(chart: Chart, title: str, caption: str, label: str | None) -> str:
    """A figure element; drawn as SVG, or as PNG where that is smaller by far."""
    drawn = inline_svg(chart.figure, chart.name) or _picture(chart, title)
    leafed = f' data-map="{html.escape(label)}"' if label else ""
    canvas = f'<div class="canvas" tabindex="0" aria-label="{title}">\n{drawn}\n</div>'
    return f'<figure id="{chart.name}"{leafed}>\n{canvas}\n<figcaption>\n{caption}</figcaption>\n</figure>\n'


def _picture(chart: Chart, title: str) -> str:
    buffer = io.BytesIO()
    with paper_style():
        chart.figure.savefig(buffer, format="png", dpi=150)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{title}" style="{sizes(chart.figure)}" src="data:image/png;base64,{data}">'


def _anchored(body: str) -> tuple[str, str]:
    """Headings with an id, and a table of contents of those of the second level."""
    listed, used = [], set()

    def anchor(found: re.Match[str]) -> str:
        slug = base = re.sub(r"[^a-z0-9]+", "-", re.sub("<[^>]+>", "", found[2]).lower()).strip("-")
        number = 1
        while slug in used:
            number += 1
            slug = f"{base}-{number}"
        used.add(slug)
        if found[1] == "2":
            listed.append(f'<li><a href="#section-{slug}">{found[2]}</a></li>')
        return f'<h{found[1]} id="section-{slug}">{found[2]}</h{found[1]}>'

    body = HEADING.sub(anchor, body)
    return body, f'<nav aria-label="Contents"><ul>\n{"".join(listed)}\n</ul></nav>\n'


def _resource(name: str) -> str:
    return files("analysis.report").joinpath(name).read_text(encoding="utf-8")
