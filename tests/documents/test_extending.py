"""The examples of docs/extending.md work as they stand."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import figures
from analysis.figures import registry
from analysis.report import sections
from analysis.report.command import main
from analysis.tables import schema
from tests.helpers.analysis_tables import write_trial
from tests.helpers.documents import DOCS

FIGURE, PROBE, TABLE, PROBE_FIGURE, SECTION = re.findall(
    r"```python\n(.*?)```", (DOCS / "extending.md").read_text(), re.S
)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The files of the page, beside those of the package."""
    registered = {figure.name: figure for figure in registry.registered_figures()}
    monkeypatch.setattr(registry, "_REGISTERED", registered)
    for package, name, content in (
        (figures, "loss_example", FIGURE),
        (figures, "decoding_example", PROBE_FIGURE),
        (sections, "decoding_example", SECTION),
    ):
        folder = tmp_path / package.__name__
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(content)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    names = dict(vars(schema))
    exec(TABLE, names)
    monkeypatch.setattr(schema, "PROBES", names["PROBES"])
    monkeypatch.setattr(schema, "DECODING", names["DECODING"], raising=False)
    yield
    for name in [name for name in sys.modules if name.endswith("_example")]:
        del sys.modules[name]


@pytest.mark.usefixtures("undrawn")
def test_the_figure_and_the_probe_of_the_page_stand_in_a_report(added: None, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_trial(runs, "GRU", rows=[(10, None, "loss", 1.5), (10, None, "greedy_token_accuracy", 0.9)])
    (runs / "probe").mkdir()
    table = pd.DataFrame({"arch": ["GRU", "GRU"], "length": [8, 16], "seconds": [0.25, 0.5]})
    table.to_csv(runs / "probe" / "decoding.csv", index=False)
    assert main([str(runs), "--output", str(tmp_path / "out")]) == 0
    report = (tmp_path / "out" / "report.md").read_text()
    assert report.startswith("# Lengthwise: what length did to accuracy and decoding\n")
    assert "**What to see.** Where a model is unsure, before its greedy choice is wrong." in report
    assert "## Time of decoding\n\n| Architecture | Length | Seconds |" in report and "\n| GRU | 16 | 0.5 |\n" in report
    assert "The section on decoding is computed from decoding.csv." in report
    assert all((tmp_path / "out" / "figures" / f"{name}.pdf").is_file() for name in ("loss", "decoding_time"))
    assert (tmp_path / "out" / "latex" / "table_time_of_decoding.tex").is_file()
    kept = pd.read_csv(tmp_path / "out" / "report_tables" / "decoding.csv")
    pd.testing.assert_frame_equal(kept, table)


def test_the_probe_of_the_page_writes_its_table(added: None, tmp_path: Path) -> None:
    probe: dict[str, Any] = {"__name__": "decoding"}
    exec(PROBE, probe)
    probe["measure"](["LSTM", "Transformer"], [3, 4], tmp_path / "probe")
    table = pd.read_csv(tmp_path / "probe" / "decoding.csv")
    assert list(table["arch"]) == ["LSTM", "LSTM", "Transformer", "Transformer"] and list(table["length"]) == [3, 4] * 2
    assert (table["seconds"] > 0).all() and (tmp_path / "probe" / "environment.json").is_file()


@pytest.mark.usefixtures("undrawn")
def test_a_figure_of_a_section_that_there_is_not_stands_at_the_end(
    added: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    misspelt = registry._REGISTERED["accuracy"]._replace(section="botleneck")
    monkeypatch.setitem(registry._REGISTERED, "accuracy", misspelt)
    write_trial(tmp_path / "runs", "GRU", rows=[(10, None, "greedy_token_accuracy", 0.9)])
    assert main([str(tmp_path / "runs"), "--output", str(tmp_path / "out")]) == 0
    report = (tmp_path / "out" / "report.md").read_text()
    assert "figures/accuracy.png" in report.partition("\n## Further figures\n")[2]


def test_a_wrong_value_of_the_probe_is_named(added: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "decoding.csv").write_text("arch,length,seconds\nGRU,8,-1.0\n")
    assert main([str(tmp_path / "probe")]) == 2
    assert "decoding.csv: line 2: seconds is below 0: '-1.0'" in capsys.readouterr().err
