"""Figures as SVG inside a page: every line of an architecture in a group of its own, ids that clash with no other."""

import io
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.collections import Collection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.chart import missing_glyphs_unmentioned
from analysis.figures.style import LINE_ID, gid, paper_style

LARGEST = 600_000  # characters; a map of many cells weighs less as PNG
FONTS = ["DejaVu Sans", "Verdana", "Helvetica Neue", "Arial"]  # the first is matplotlib's own
PIXELS = 125  # of an inch of paper on a wide screen; letters of 8 points are then 14 pixels high
LEAST_PIXELS = 92  # of an inch on a phone, where wide figures scroll: letters of 10 pixels can still be read
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


def inline_svg(figure: Figure, name: str) -> str | None:
    """A figure as an `<svg>` element; None where it would be larger than a picture should.

    Groups of an architecture have the attribute `data-line`, its display name. The same figure gives the same text.

    Args:
        figure: what to draw.
        name: unique in the page, so that the ids that matplotlib makes from it are.
    """
    _mark_lines(figure)
    # Letters stay letters: smaller, they can be searched, and the reader's fonts show any script.
    as_text = rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.sans-serif": FONTS})
    buffer = io.StringIO()
    with paper_style(), missing_glyphs_unmentioned(), as_text:
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    if len(buffer.getvalue()) > LARGEST:
        return None
    svg = ElementTree.fromstring(buffer.getvalue())
    for metadata in svg.findall(f"{{{SVG}}}metadata"):
        svg.remove(metadata)
    for attribute in ("width", "height"):
        del svg.attrib[attribute]
    svg.attrib |= {"role": "img", "style": sizes(figure)}
    _name_lines(svg)
    return ElementTree.tostring(svg, encoding="unicode")


def sizes(figure: Figure) -> str:
    """The CSS of the width a reader needs instead of that of paper, where there is room and where there is not."""
    width, height = figure.get_size_inches()
    return f"width:{width * PIXELS:.0f}px;min-width:{width * LEAST_PIXELS:.0f}px;aspect-ratio:{width:.3f}/{height:.3f}"


def _mark_lines(figure: Figure) -> None:
    """Give lines with error bars, and these bars, an id by their label; others have theirs where they are drawn."""
    for axes in figure.axes:
        for number, container in enumerate(axes.containers):
            label = str(container.get_label())
            if isinstance(container, ErrorbarContainer) and not label.startswith("_"):
                parts = [part for part in container.get_children() if isinstance(part, Line2D | Collection)]
                for place, part in enumerate(parts):
                    part.set_gid(gid(label, axes, f"{number}.{place}"))


def _name_lines(svg: ElementTree.Element) -> None:
    """Turn ids of lines into `data-line`; drop ids that nothing refers to, which all figures share."""
    referred = {
        value.removeprefix("url(").removesuffix(")").removeprefix("#")
        for element in svg.iter()
        for value in element.attrib.values()
        if value.startswith(("#", "url(#"))
    }
    for element in svg.iter():
        name = element.attrib.get("id", "")
        if name not in referred:
            element.attrib.pop("id", None)
        if name.startswith(LINE_ID) and len(element):
            element.attrib["data-line"] = name.split("~")[1]
