"""Learning curves are means over seeds that say how many still ran; labels stand beside the ends of lines."""

import pandas as pd
import pytest

from analysis.errors import ReportError
from analysis.figures.direct_labels import spread
from analysis.figures.length.learning import (
    learning_figure,
    learning_points,
    learning_rate_points,
    learning_rates_figure,
)
from analysis.report.render.svg import inline_svg
from analysis.tables.architectures import Architectures
from analysis.tables.schema import LEARNING_CURVES
from analysis.tables.trial_folders import load_runs
from tests.helpers.analysis_tables import write_trial
from tests.helpers.charts import rings
from tests.helpers.report_folders import with_history


def curves_of(*trials):
    rows = [
        (trial, step, seconds, metric, value) for trial, metric, *points in trials for step, seconds, value in points
    ]
    return pd.DataFrame(rows, columns=LEARNING_CURVES.names)


def trials_of(*names, length=10, ended=None):
    rows = [(name, "copy", 32, length, name.partition("-")[0], ended) for name in names]
    return pd.DataFrame(rows, columns=["trial", "task", "vocabulary", "train_length", "arch", "ended"])


ACCURACY = "greedy_token_accuracy"


def test_a_trial_that_ended_early_keeps_its_last_value_and_time():
    curves = curves_of(
        ("GRU-0", ACCURACY, (0, 0.0, 0.1), (50, 2.0, 1.0)),
        ("GRU-1", ACCURACY, (0, 0.0, 0.3), (50, 4.0, 0.4), (100, 8.0, 0.6)),
    )
    points = learning_points(curves, trials_of("GRU-0", "GRU-1"))
    assert points["mean"].tolist() == pytest.approx([0.2, 0.7, 0.8])
    assert points["seconds"].tolist() == pytest.approx([0.0, 3.0, 5.0])
    assert points["seeds"].tolist() == [2, 2, 2] and points["running"].tolist() == [2, 2, 1]


def test_only_the_greatest_train_length_and_the_first_metric_are_drawn():
    curves = curves_of(
        ("GRU-0", ACCURACY, (0, 0.0, 0.5)), ("GRU-0", "loss", (0, 0.0, 3.0)), ("LSTM-0", ACCURACY, (0, 0.0, 0.9))
    )
    trials = pd.concat([trials_of("GRU-0"), trials_of("LSTM-0", length=5)])
    points = learning_points(curves, trials)
    assert points[["arch", "metric", "mean"]].to_numpy().tolist() == [["GRU", ACCURACY, 0.5]]


def test_a_line_that_had_not_converged_is_ringed_at_its_end():
    curves = curves_of(("GRU-0", ACCURACY, (0, 0.0, 0.1), (50, 60.0, 0.5)), ("LSTM-0", ACCURACY, (0, 0.0, 0.9)))
    trials = pd.concat([trials_of("GRU-0", ended="budget"), trials_of("LSTM-0", ended="converged")])
    chart = learning_figure(curves, trials, architectures=Architectures())
    assert chart is not None
    assert [rings(axes) for axes in chart.figure.axes] == [[[1.0, 0.5]], [[50.0, 0.5]]]


def test_no_curves_make_no_figure():
    assert learning_figure(curves_of(), trials_of("GRU-0"), architectures=Architectures()) is None


def test_one_seed_is_said_in_the_caption():
    chart = learning_figure(
        curves_of(("GRU-0", ACCURACY, (0, 0.0, 0.5), (50, 1.0, 0.9))), trials_of("GRU-0"), architectures=Architectures()
    )
    assert chart is not None and "One seed, so without intervals" in chart.caption
    assert [text.get_text() for text in chart.figure.axes[1].texts] == ["GRU"]
    drawing = inline_svg(chart.figure, "learning_curves")
    assert drawing is not None
    # Lines of two panels, without bands as it is one seed, a label and its leader: a page hides them together.
    assert drawing.count('data-line="GRU"') == 4


def test_histories_are_read_from_trials_and_a_half_written_line_is_left_out(tmp_path):
    folder = with_history(write_trial(tmp_path), "GRU")
    whole = load_runs([tmp_path]).curves
    assert set(whole["metric"]) == {ACCURACY} and set(whole["trial"]) == {folder.name} and len(whole) == 11
    with (folder / "history.csv").open("a") as file:
        file.write("550,11.0,validation,gree")
    assert load_runs([tmp_path]).curves.equals(whole)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x,1.0,validation,loss,2.0", "step is not a whole number: 'x'"),
        ("50,,validation,loss,2.0", "seconds is not a number: ''"),
        ("50,1.0,validation,loss,y", "value is not a number: 'y'"),
    ],
)
def test_a_history_that_holds_no_numbers_is_named(tmp_path, line, problem):
    folder = write_trial(tmp_path)
    (folder / "history.csv").write_text(f"step,seconds,split,metric,value\n0,0.0,validation,loss,3.0\n{line}\n")
    with pytest.raises(ReportError, match=f"history.csv: line 3: {problem}"):
        load_runs([tmp_path])


def test_a_loss_that_is_nan_is_a_gap_and_no_error(tmp_path):
    folder = write_trial(tmp_path)
    (folder / "history.csv").write_text(
        "step,seconds,split,metric,value\n0,0.0,validation,loss,3.0\n9,1.0,validation,loss,nan\n"
    )
    assert load_runs([tmp_path]).curves["value"].tolist() == [3.0]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([0.9, 0.5, 0.1], [0.9, 0.5, 0.1]),
        ([0.5, 0.5], [0.55, 0.45]),
        ([1.0, 1.0, 0.95, 0.2], [1.0, 0.9, 0.8, 0.2]),
    ],
)
def test_labels_are_apart_and_close_to_their_lines(wanted, places):
    assert spread(wanted, 0.1) == pytest.approx(places, abs=1e-4)


def test_the_least_validation_loss_stands_against_each_learning_rate():
    rates = {
        "GRU [learning_rate=0.1]": 0.1,
        "GRU [learning_rate=0.2]": 0.2,
        "GRU [learning_rate=0.4]": 0.4,
        "LSTM": 0.1,
    }
    trials = trials_of(*rates, ended="budget")
    trials["arch"] = list(rates)
    trials["model"] = pd.Series([{"learning_rate": rate} for rate in rates.values()], dtype=object)
    losses = dict(zip(rates, (3.0, 1.0, 2.0, 1.0), strict=True))
    curves = curves_of(
        *((name, "loss", (0, 0.0, 9.0), (50, 1.0, loss), (90, 2.0, loss + 1)) for name, loss in losses.items())
    )
    points = learning_rate_points(curves, trials)
    assert points[["arch", "learning_rate", "mean"]].to_numpy().tolist() == [
        ["GRU", 0.1, 3.0], ["GRU", 0.2, 1.0], ["GRU", 0.4, 2.0],
    ]  # fmt: skip
    chart = learning_rates_figure(curves, trials, Architectures())
    assert chart is not None and chart.points.equals(points)


def test_one_learning_rate_makes_no_figure_of_them():
    trials = trials_of("GRU").assign(model=pd.Series([{"learning_rate": 0.1}], dtype=object))
    assert learning_rates_figure(curves_of(("GRU", "loss", (0, 0.0, 1.0))), trials, Architectures()) is None
