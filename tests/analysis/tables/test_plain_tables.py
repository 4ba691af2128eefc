"""A report can be made again from the tables it leaves behind; a table that cannot be read is named in one line."""

import json
import shutil

import pytest

from analysis.errors import ReportError
from analysis.figures.registry import Gallery
from analysis.report.context import Report
from analysis.report.document import compose
from analysis.report.render import markdown
from analysis.tables.evidence import gather
from analysis.tables.plain_tables import TABLES, read_tables, write_tables
from tests.helpers.analysis_tables import write_sweep, write_text_trial, write_trial
from tests.helpers.gradient_tables import exponential, rows_of, table_of, written
from tests.helpers.report_folders import write_everything

NO_FIGURES = Gallery()


def text_of(path) -> str:
    return markdown.document(compose(Report(gather([str(path)]), NO_FIGURES, ["lengthwise", "report"])))


def tables_of(path, folder):
    """The plain tables of what lies below a path."""
    evidence = gather([str(path)])
    write_tables(folder, evidence.tables)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_everything(
        tmp_path_factory.mktemp("runs"), ("VanillaRNN", "LSTM", "GRU", "Transformer"), (10, 40), (0, 1)
    )


@pytest.fixture(scope="module")
def tables(runs, tmp_path_factory):
    return tables_of(runs, tmp_path_factory.mktemp("plain") / "tables")


def test_plain_tables_say_what_the_trials_said(runs, tables):
    of_trials, of_tables = text_of(runs), text_of(tables)
    assert "1 failed or diverged" in of_tables and "LSTM [hidden_size=32]" in of_tables
    assert of_tables == of_trials


def test_plain_tables_of_plain_tables_are_the_same_bytes(tables, tmp_path):
    again = tables_of(tables, tmp_path / "again")
    names = sorted(path.name for path in tables.iterdir())
    assert names == [
        "architectures.csv", "curves.csv", "environment.csv", "failures.csv", "gradients.csv", "parallelism.csv",
        "results.csv", "sentences.csv", "trials.csv",
    ]  # fmt: skip
    assert all((again / name).read_bytes() == (tables / name).read_bytes() for name in names)


def test_variants_that_gradients_name_keep_their_names_in_plain_tables(tmp_path):
    identity = {"recurrent_init": "identity", "nonlinearity": "relu"}
    for variant, model in (("", {}), ("IRNN", identity)):
        folder = write_trial(tmp_path / "runs", "VanillaRNN", model={"hidden_size": 8, **model}, suffix=f"0{variant}")
        written(table_of(rows_of("VanillaRNN", exponential(0.5), variant=variant, task="reverse")), folder)
    report = text_of(tmp_path / "runs")
    assert "Vanilla RNN [IRNN]" in report and "nonlinearity=relu]" not in report
    assert text_of(tables_of(tmp_path / "runs", tmp_path / "tables")) == report


def test_the_tidy_table_alone_makes_a_smaller_report(tmp_path):
    sweep = write_sweep(tmp_path / "runs", ("LSTM", "Bahdanau"), (10, 40), (0, 1, 2))
    results = gather([str(sweep)]).loaded.results
    alone = tmp_path / "alone"
    alone.mkdir()
    results.to_csv(alone / "results.csv", index=False)
    report = text_of(alone)
    assert "Trials: 12 complete" in report and "Device: cpu" in report
    assert "| LSTM | - | 100,000 | 6 |" in report and "Options: not known." in report
    assert (
        report.split("## The fixed-context bottleneck")[1].split("## Models")[0]
        == (text_of(sweep).split("## The fixed-context bottleneck")[1].split("## Models")[0])
    )


def test_text_without_its_sentences_is_left_out_with_a_note(tmp_path):
    write_text_trial(tmp_path / "runs")
    write_trial(tmp_path / "runs")
    tables = tables_of(tmp_path / "runs", tmp_path / "tables")
    (tables / "sentences.csv").unlink()
    assert "**Note.** 1 trials on text" in text_of(tables)
    (tables / "trials.csv").unlink()
    assert "**Note.** 1 trials on text" in text_of(tables)


def test_a_report_folder_is_read_by_the_tables_it_keeps(tmp_path):
    write_trial(tmp_path / "runs", seed=0)
    report = tmp_path / "report"
    tables_of(tmp_path / "runs", report / TABLES)
    (report / "report.md").touch()
    (report / "results.csv").write_text("not read\n")
    assert len(gather([str(report)]).runs.trials) == 1
    shutil.rmtree(tmp_path / "runs")
    assert read_tables([tmp_path]).runs.trials.empty  # a report below a path is no evidence of its own


def test_a_trial_found_twice_is_refused(tmp_path):
    write_trial(tmp_path / "runs")
    tables = tables_of(tmp_path / "runs", tmp_path / "tables")
    with pytest.raises(ReportError, match=r"lies in a folder and stands in a table of .*tables; give only one"):
        gather([str(tmp_path / "runs"), str(tables)])
    copy = tables_of(tmp_path / "runs", tmp_path / "copy")
    with pytest.raises(ReportError, match="two tables have GRU-reverse-L10-s0-3f9a1c2e; give only one"):
        gather([str(tables), str(copy)])


def broken(tables, tmp_path, name, change):
    folder = tmp_path / "broken"
    folder.mkdir()
    for path in tables.iterdir():
        text = path.read_text()
        (folder / path.name).write_text(change(text) if path.name == name else text)
    return folder


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("results.csv", lambda text: text[:-2], r"results.csv: ends in the middle of a line"),
        ("results.csv", lambda text: text.replace("metric", "measure", 1), r"results.csv: has no column 'metric'"),
        (
            "results.csv",
            lambda text: text.replace(",10,,,", ",ten,,,", 1),
            "results.csv: line 2: eval_length is not a whole number: 'ten'",
        ),
        (
            "results.csv",
            lambda text: text.replace("test,10,,", "test,10,ab,", 1),
            r"results.csv: line \d+: bucket is neither .*: 'ab'",
        ),
        (
            "trials.csv",
            lambda text: text.replace('"{""hidden', '"[""hidden', 1),
            "trials.csv: line 2: model is not an object",
        ),
        ("trials.csv", lambda text: "".join(text.splitlines(True)[:-1]), r"trials.csv lacks .* of results.csv"),
        (
            "curves.csv",
            lambda text: text.replace(",0.0,", ",soon,", 1),
            r"curves.csv: line \d+: seconds is not a number: 'soon'",
        ),
        ("environment.csv", lambda text: "", "environment.csv: is empty"),
        (
            "parallelism.csv",
            lambda text: text.replace("step_seconds,", "step_seconds,x", 1),
            r"parallelism.csv: line \d+: median is not a number: 'x",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tables, tmp_path, name, change, message):
    with pytest.raises(ReportError, match=message) as caught:
        gather([str(broken(tables, tmp_path, name, change))])
    assert "\n" not in str(caught.value)


def test_environments_are_objects_again(tables):
    [packages] = {json.dumps(row) for row in gather([str(tables)]).runs.environments["packages"]}
    assert json.loads(packages) == {"torch": "2.13.0", "lightning": "2.6.6"}
