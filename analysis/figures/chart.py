"""A drawn figure with its points and caption, and how it is saved."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.style import paper_style
from analysis.files import replacing


class Chart(NamedTuple):
    """A figure, the points it shows, the name of its files, its caption, and a sentence on what to see in it."""

    name: str
    figure: Figure
    points: pd.DataFrame
    caption: str
    to_see: str = ""


def save_chart(chart: Chart, folder: Path) -> dict[str, Path]:
    """Write NAME.png (200 dots an inch), NAME.pdf and NAME.csv, which holds exactly the points shown.

    The same chart gives the same bytes. Letters that the font lacks become boxes, silently. Returns the paths by
    suffix: `png`, `pdf` and `csv`.

    Raises:
        OSError: the folder cannot be written.
    """
    paths = {suffix: folder / f"{chart.name}.{suffix}" for suffix in ("png", "pdf", "csv")}
    with paper_style(), missing_glyphs_unmentioned():
        with replacing(paths["png"]) as temporary:
            chart.figure.savefig(temporary, format="png", dpi=200)
        with replacing(paths["pdf"]) as temporary:
            chart.figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})
    with replacing(paths["csv"]) as temporary:
        chart.points.to_csv(temporary, index=False, lineterminator="\n")
    return paths


@contextmanager
def missing_glyphs_unmentioned() -> Iterator[None]:
    """While this lasts, letters that the drawing font lacks become boxes without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        yield
