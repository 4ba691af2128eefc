"""Runs are kept as plain tables small enough to commit, which say where they came from and make the same report."""

import json
import shutil
from datetime import UTC, datetime

import pandas as pd
import pytest

from analysis.errors import ReportError
from analysis.figures.registry import draw
from analysis.report.command import main
from analysis.tables import plain_tables
from analysis.tables.attention_files import find_attention
from analysis.tables.evidence import gather
from tests.helpers.analysis_tables import write_trial
from tests.helpers.report_folders import with_attention, write_everything, write_parallelism

MADE_BY = "lengthwise sweep sweep.yaml"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_everything(tmp_path_factory.mktemp("runs"), ("LSTM", "Bahdanau", "Transformer"), (10, 40), (0, 1))


@pytest.fixture(scope="module")
def kept(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    assert main([str(runs), "--export", str(folder / "everything"), "--made_by", MADE_BY]) == 0
    return folder


def points_of(path) -> dict[str, str]:
    return {chart.name: chart.points.to_csv(index=False) for chart in draw(gather([str(path)])).charts()}


def test_figures_from_kept_tables_show_the_points_of_those_from_the_runs(runs, kept):
    of_runs = points_of(runs)
    assert {"accuracy", "bits", "bleu_by_length", "gradient_norm", "step_time", "learning_curves"} <= set(of_runs)
    assert any(name.startswith("alignment_") for name in of_runs)
    assert points_of(kept) == of_runs


def test_only_tables_are_written_and_where_they_came_from(runs, kept):
    assert sorted(path.name for path in (kept / "everything").iterdir()) == [
        "architectures.csv", "attention", "curves.csv", "environment.csv", "failures.csv", "gradients.csv",
        "origin.json", "parallelism.csv", "results.csv", "sentences.csv", "trials.csv",
    ]  # fmt: skip
    origin = json.loads((kept / "everything/origin.json").read_text())
    assert origin == {
        "made_by": MADE_BY,
        "exported_by": f"lengthwise report {runs} --export {kept / 'everything'}",
        "date": datetime.now(UTC).date().isoformat(),
        "commit": ["cba0f15ed5c3"],
        "device": ["cpu"],
        "processor": ["AMD EPYC"],
    }


def test_large_tables_are_compressed_and_read_back(runs, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(plain_tables, "LARGE", 20_000)
    for _ in range(2):  # over an earlier export, too, and to the same bytes
        assert main([str(runs), "--export", str(tmp_path), "--made_by", MADE_BY]) == 0
        names = {path.name for path in tmp_path.iterdir()}
        assert {"results.csv.gz", "trials.csv"} < names and not {"results.csv", "trials.csv.gz"} & names
    packed = tmp_path / "results.csv.gz"
    assert pd.read_csv(packed).equals(pd.read_csv(kept / "everything/results.csv"))
    assert gather([str(tmp_path)]).loaded.results.equals(gather([str(kept / "everything")]).loaded.results)
    written = packed.read_bytes()
    packed.write_bytes(written[:-9])
    with pytest.raises(ReportError, match=r"results\.csv\.gz: is no whole gzip file; "):
        gather([str(tmp_path)])
    monkeypatch.undo()
    assert main([str(runs), "--export", str(tmp_path)]) == 0
    assert (tmp_path / "results.csv").is_file() and not packed.exists()


def test_what_a_probe_ran_on_is_kept_with_its_table(tmp_path):
    probe = write_parallelism(tmp_path / "parallelism")
    machine = {"commit": "0123456789ab", "processor": "AMD EPYC", "device": "cpu"}
    (probe / "environment.json").write_text(json.dumps(machine))
    assert main([str(probe), "--export", str(tmp_path / "kept")]) == 0
    origin = json.loads((tmp_path / "kept" / "origin.json").read_text())
    assert origin["commit"] == ["0123456789ab"]
    (probe / "environment.json").write_text("[")
    assert main([str(probe), "--export", str(tmp_path / "kept")]) == 2


@pytest.mark.usefixtures("undrawn")
def test_a_report_of_kept_tables_says_where_they_came_from(kept, tmp_path):
    assert main([str(kept), "--output", str(tmp_path)]) == 0
    made = (tmp_path / "report.md").read_text().split("## How this report was made")[1]
    assert f"{kept / 'everything'}: measured by `{MADE_BY}`, on AMD EPYC, cpu, at commit cba0f15ed5c3" in made


def test_keeping_runs_again_leaves_nothing_of_the_first_time(runs, tmp_path):
    folder = tmp_path / "kept"
    assert main([str(runs), "--export", str(folder)]) == 0
    trial = write_trial(tmp_path / "runs", seed=0)
    assert main([str(trial), "--export", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "architectures.csv", "origin.json", "results.csv", "trials.csv",
    ]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_a_report_keeps_the_attention_of_its_own_trials_alone(tmp_path):
    trials = [with_attention(write_trial(tmp_path / "runs" / arch, arch), arch) for arch in ("Bahdanau", "Transformer")]
    copies = tmp_path / "report" / "report_tables" / "attention"
    for reported in (tmp_path / "runs", trials[1].parent):
        assert main([str(reported), "--output", str(tmp_path / "report")]) == 0
    assert [path for path in copies.rglob("*") if path.is_file()] == [copies / "1" / "attention.json"]
    assert (copies / "1" / "attention.json").read_text() == (trials[1] / "attention.json").read_text()


@pytest.mark.usefixtures("undrawn")
def test_a_report_of_its_own_tables_loses_no_attention(tmp_path):
    for number in range(11):  # of which the tenth comes second by name
        with_attention(write_trial(tmp_path / "runs", seed=number), f"model{number}")
    assert main([str(tmp_path / "runs"), "--output", str(tmp_path / "report")]) == 0
    tables = tmp_path / "report" / "report_tables"
    labels = {file.label for file in find_attention([tables])}
    assert main([str(tables), "--output", str(tmp_path / "report")]) == 0
    assert {file.label for file in find_attention([tables])} == labels and len(labels) == 11


@pytest.mark.parametrize(
    ("where", "arguments", "said"),
    [
        ("runs/sweep/kept", [], "lies in {runs}, from which it is made; choose a folder elsewhere"),
        ("trial", [], "is the folder of a trial; give one of its own"),
        ("report", [], "is the folder of a report; give one of its own"),
        ("kept", ["--output", "other"], "give --output or --figures in a command of their own"),
        ("kept", ["--figures", "accuracy"], "give --output or --figures in a command of their own"),
    ],
)
def test_tables_never_replace_anything_else(tmp_path, capsys, where, arguments, said):
    trial = write_trial(tmp_path / "runs" / "sweep", seed=0)
    shutil.copytree(trial, tmp_path / "trial")
    (tmp_path / "report").mkdir()
    (tmp_path / "report/report.md").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main([str(tmp_path / "runs"), "--export", str(tmp_path / where), *arguments]) == 2
    error = capsys.readouterr().err
    assert said.format(runs=tmp_path / "runs") in error and error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_words_for_an_export_that_is_not_asked_for_are_refused(tmp_path, capsys):
    write_trial(tmp_path, seed=0)
    assert main([str(tmp_path), "--made_by", "me"]) == 2
    assert "--made_by is kept by --export" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", '{"made_by": "me"}', '{"made_by": "me", "extra": 1}'])
def test_an_origin_that_cannot_be_read_is_named(tmp_path, capsys, content):
    write_trial(tmp_path / "runs", seed=0)
    assert main([str(tmp_path / "runs"), "--export", str(tmp_path / "kept")]) == 0
    (tmp_path / "kept/origin.json").write_text(content)
    assert main([str(tmp_path / "kept")]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'kept/origin.json'} is no JSON object with the keys made_by" in error
    assert error.count("\n") == 1
