"""Figures as SVG inside a page: every line of an architecture in a group of its own, ids that clash with no other."""

import io
import re

from matplotlib import rc_context
from matplotlib.collections import Collection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import LINE_ID, gid, paper_style

LARGEST = 600_000  # characters; a map of many cells weighs less as PNG
FONTS = "'DejaVu Sans', Verdana, 'Helvetica Neue', Arial, sans-serif"
PIXELS = 125  # of an inch of paper on a wide screen; letters of 8 points are then 14 pixels high
LEAST_PIXELS = 92  # of an inch on a phone, where wide figures scroll: letters of 10 pixels can still be read


def inline_svg(figure: Figure, name: str) -> str | None:
    """A figure as an `<svg>` element; None where it would be larger than a picture should.

    Groups of an architecture have the attribute `data-line`, its display name. The same figure gives the same text.

    Args:
        figure: what to draw.
        name: unique in the page; all ids begin with it.
    """
    _mark_lines(figure)
    # Letters stay letters: smaller, they can be searched, and the reader's fonts show any script.
    as_text = rc_context({"svg.fonttype": "none", "svg.hashsalt": name})
    buffer = io.StringIO()
    with paper_style(), as_text:
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    if len(text) > LARGEST:
        return None
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(rf'<g id="{LINE_ID}(.*?)~[^"]*">', r'<g data-line="\1">', text)
    text = _own_ids(text, name)
    text = re.sub(r'font-family: [^;"]*', f"font-family: {FONTS}", text)
    return _sized(text, figure)


def _mark_lines(figure: Figure) -> None:
    """Give lines with error bars, and these bars, an id by their label; others have theirs where they are drawn."""
    for axes in figure.axes:
        for number, container in enumerate(axes.containers):
            label = str(container.get_label())
            if isinstance(container, ErrorbarContainer) and not label.startswith("_"):
                parts = [part for part in container.get_children() if isinstance(part, Line2D | Collection)]
                for place, part in enumerate(parts):
                    part.set_gid(gid(label, axes, f"{number}.{place}"))


def _own_ids(text: str, name: str) -> str:
    """Prefix the ids that something refers to, drop the others: matplotlib gives every figure the same."""
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    return text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")


def sizes(figure: Figure) -> str:
    """The CSS of the width a reader needs instead of that of paper, where there is room and where there is not."""
    width, height = figure.get_size_inches()
    return f"width:{width * PIXELS:.0f}px;min-width:{width * LEAST_PIXELS:.0f}px;aspect-ratio:{width:.3f}/{height:.3f}"


def _sized(text: str, figure: Figure) -> str:
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" style="{sizes(figure)}">{rest}'
