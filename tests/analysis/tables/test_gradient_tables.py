"""Every gradients.csv below the folders becomes one table; a bad file is named with its line."""

import math

import numpy as np
import pytest

from analysis.errors import ReportError
from analysis.figures.registry import section_charts
from analysis.report.command import main as report
from analysis.tables.architectures import Architectures
from analysis.tables.gradient_tables import read_gradients
from tests.helpers.gradient_tables import exponential, rows_of, seven_architectures, table_of, training_rows, written


@pytest.fixture(scope="module")
def table():
    return seven_architectures()


def test_a_file_reached_twice_counts_once(table, tmp_path):
    written(table, tmp_path / "sweep")
    assert len(read_gradients([tmp_path, tmp_path / "sweep"])) == len(table)


def test_two_different_measurements_of_the_same_thing_are_refused(tmp_path):
    written(table_of(rows_of("GRU", exponential(0.8))), tmp_path / "a")
    written(table_of(rows_of("GRU", exponential(0.9))), tmp_path / "b")
    with pytest.raises(ReportError, match=r"a.gradients\.csv line 3 and .*b.gradients\.csv line 3 .* GRU.* seed 0"):
        read_gradients([tmp_path])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text.replace("distance,", "far,"), "has no column 'distance'"),
        (lambda text: text.replace(",0.1,", ",much,"), "line 2: mean is not a number: 'much'"),
        (lambda text: text.replace(",0.1,", ",nan,"), "line 2: mean is not a number: 'nan'"),
        (lambda text: text.replace(",0.1,", ",-0.1,"), "line 2: mean is not above 0"),
        (lambda text: text.replace(",30,0,", ",30.5,0,"), "line 2: length is not a whole number: '30.5'"),
        (lambda text: text.replace("_gradient,2,", "_gradient,,"), "line 3: distance is not a number: ''"),
        (lambda text: text.replace("initial", "begun"), "line 2: phase is none of"),
        (lambda text: text[:-3], "ends in the middle of a line"),
        (lambda text: "", "is empty"),
        (lambda text: text + "GRU,,copy\n", "line 32 has 3 fields instead of 13"),
    ],
)
def test_a_malformed_file_is_named_with_its_line_in_one_line(tmp_path, capsys, change, problem):
    path = written(table_of(rows_of("GRU", exponential(0.8))), tmp_path)
    path.write_text(change(path.read_text()))
    assert report([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}: {problem}" in error
    assert error.count("\n") == 1


def test_gradients_that_exploded_are_read_and_left_out_of_the_figure(tmp_path):
    exploded = table_of(training_rows("GRU", 0, steps=(100, 200)))
    exploded.loc[exploded["quantity"] == "gradient_norm", "mean"] = [math.inf, 3.0]
    written(exploded, tmp_path)
    table = read_gradients([tmp_path])
    assert np.isinf(table["mean"]).sum() == 1
    (chart,) = section_charts("gradients", Architectures(), gradients=table)
    assert chart.points.query("quantity == 'gradient_norm'")["step"].tolist() == [200]


def test_a_folder_without_measurements_and_one_that_is_none_are_refused(tmp_path, capsys):
    assert report([str(tmp_path)]) == 2
    assert "no complete trial" in capsys.readouterr().err
    assert report([str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
