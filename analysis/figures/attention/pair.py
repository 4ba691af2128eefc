"""A heatmap of the attention of one model in one pair of sentences, for a file of its own."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context

from analysis.errors import ReportError
from analysis.figures.attention.heatmaps import Map, side_by_side
from analysis.figures.chart import save_figure

SUFFIXES = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # same figure, same bytes


def draw_attention(path: Path, source: list[str], target: list[str], attention: Any, title: str = "") -> None:
    """Draw the attention of one sentence and write it to a file.

    Args:
        path: where to; the suffix .png, .pdf or .svg says in which format.
        source: S words or pieces, written above the columns as they are.
        target: T words or pieces, written beside the rows.
        attention: (T, S) weights, from 0, white, to 1, black.
        title: a line above the figure.

    Raises:
        ReportError: another suffix.
        ValueError: weights of another shape.
        OSError: the file cannot be written.
    """
    metadata = metadata_for(path)
    weights = np.asarray(attention, dtype=float)
    if weights.shape != (len(target), len(source)):
        raise ValueError(f"attention of shape {weights.shape} over {len(target)} target and {len(source)} source words")
    figure = side_by_side([Map(title, source, target, weights)])
    # Letters of an SVG stay letters: the viewer's fonts show scripts that the drawing font lacks.
    as_text = rc_context({"svg.fonttype": "none", "svg.hashsalt": "attention"})
    with as_text:
        save_figure(figure, path, metadata)


def metadata_for(path: Path) -> dict[str, None]:
    """What to write into a figure of this name besides the picture.

    Raises:
        ReportError: it ends in no format that figures are written in.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ReportError(f"{path}: figures are written as {', '.join(SUFFIXES)}; give a name that ends in one of them")
    return SUFFIXES[path.suffix.lower()]
