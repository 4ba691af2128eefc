"""The bibliography against the works that code and pages name."""

import re
from pathlib import Path

from analysis.report.render.latex import WORK, citation_key, escaped

ROOT = Path(__file__).parents[3]
FOLDERS = ("analysis", "benchmarks", "data", "docs", "experiments", "lit_models")


def texts() -> list[str]:
    """The pages and the code, each on one line."""
    files = [path for folder in FOLDERS for kind in ("py", "md") for path in sorted((ROOT / folder).rglob(f"*.{kind}"))]
    return [" ".join(path.read_text(encoding="utf-8").split()) for path in (ROOT / "README.md", *files)]


def entries() -> list[str]:
    return re.findall(r"^@\w+\{(\w+),", (ROOT / "docs" / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_work_that_is_named_is_in_the_bibliography_once() -> None:
    named = {citation_key(*work.groups()) for text in texts() for work in WORK.finditer(text)}
    assert len(named) > 60
    assert named - set(entries()) == set()
    assert len(set(entries())) == len(entries())


def test_latex_cites_by_the_keys_of_the_bibliography() -> None:
    assert escaped("as in Vaswani et al. (2017, Table 1)") == r"as in Vaswani et al. (2017 \cite{vaswani2017}, Table 1)"
    assert escaped("5% (Karp & Flatt 1990)") == r"5\% (Karp \& Flatt 1990 \cite{karp1990})"
    assert escaped("Delétang et al. 2023").endswith(r"\cite{deletang2023}")
