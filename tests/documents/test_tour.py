"""The notebook and the page on Python run as they stand."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.helpers.documents import DOCS, ROOT

TOUR = DOCS / "tour.ipynb"


def test_the_notebook_is_kept_without_output() -> None:
    cells = [cell for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(TOUR, as_version=4)
    for cell in notebook.cells:  # all that it does, in fewer steps
        cell["source"] = re.sub(r'(max_steps(?:=|": ))\d+', r"\g<1>50", cell["source"])
    assert sum("max_steps" in cell["source"] for cell in notebook.cells) == 2
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    pictures = [
        cell for cell in notebook.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 5
    assert list(tmp_path.glob("runs/tour/LuongGlobal-reverse-L8-*/summary.json"))


def test_the_page_on_python_draws_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.S)
    (tmp_path / "docs").symlink_to(DOCS)
    monkeypatch.chdir(tmp_path)
    drawn: dict = {}
    exec(code, drawn)
    assert (tmp_path / "accuracy.png").stat().st_size > 10_000
    assert len(drawn["axes"].containers) == drawn["points"]["arch"].nunique() == 7
