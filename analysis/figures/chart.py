"""A drawn figure with its points and caption, and how it is saved."""

import io
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
    save_figure(chart.figure, paths["png"], {})
    save_figure(chart.figure, paths["pdf"], {"CreationDate": None})
    with replacing(paths["csv"]) as temporary:
        chart.points.to_csv(temporary, index=False, lineterminator="\n")
    return paths


def save_figure(figure: Figure, path: Path, metadata: dict[str, None]) -> None:
    """Write a figure in the format that the suffix says, 200 dots an inch; also into a pipe, where nothing can seek.

    Raises:
        OSError: the file cannot be written.
    """
    drawn = io.BytesIO()
    with paper_style(), missing_glyphs_unmentioned():
        figure.savefig(drawn, format=path.suffix[1:].lower(), dpi=200, metadata=metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(drawn.getbuffer())


@contextmanager
def missing_glyphs_unmentioned() -> Iterator[None]:
    """While this lasts, letters that the drawing font lacks become boxes without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        yield
