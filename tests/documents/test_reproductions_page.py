"""The page on reproductions says of each what the committed results say."""

import json
import runpy
from pathlib import Path

import pytest

from analysis.report.render import markdown
from experiments.reproductions.reproduction_file import names
from tests.helpers.documents import DOCS

RESULTS = DOCS / "reference" / "reproductions"
MADE = runpy.run_path(str(DOCS / "figures" / "reproductions.py"))


def test_the_table_is_that_of_the_committed_results() -> None:
    assert MADE["table"]() in (DOCS / "reproductions.md").read_text()


def test_the_page_of_results_is_that_of_the_committed_ones_and_has_the_figure_of_each() -> None:
    page = (DOCS / "reproduced.md").read_text()
    assert markdown.document(MADE["blocks"]()) == page
    for path in RESULTS.iterdir():
        assert f"(figures/reproduction_{path.name.replace('-', '_')}.png)" in page


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/*")), ids=lambda path: path.parent.name)
def test_what_is_committed_of_a_reproduction_is_small_and_says_where_it_comes_from(path: Path) -> None:
    kept = json.loads(path.read_text())
    assert path.name == "reproduction.json" and path.parent.name in names() and path.stat().st_size < 50_000
    assert all(kept[key] for key in ("answer", "claims", "points", "command", "commit", "processor"))
