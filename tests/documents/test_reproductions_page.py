"""The page on reproductions says of each what the committed results say."""

import json
from pathlib import Path

import pytest

from analysis.report.render import markdown
from experiments.reproductions.reproduction_file import names
from experiments.verbs.reproduce import overview
from tests.helpers.documents import DOCS

RESULTS = DOCS / "reference" / "reproductions"


def test_the_table_is_that_of_the_committed_results() -> None:
    assert markdown.document([overview(RESULTS)]) in (DOCS / "reproductions.md").read_text()


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/*")), ids=lambda path: path.parent.name)
def test_what_is_committed_of_a_reproduction_is_small_and_says_where_it_comes_from(path: Path) -> None:
    kept = json.loads(path.read_text())
    assert path.name == "reproduction.json" and path.parent.name in names() and path.stat().st_size < 50_000
    assert all(kept[key] for key in ("answer", "claims", "points", "command", "commit", "processor"))
