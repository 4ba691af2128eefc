"""Figures show exactly the points beside them, and every architecture in its own style."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from analysis.figures.chart import save_chart
from analysis.figures.length.accuracy import accuracy_figure
from analysis.figures.length.bits import bits_figure
from analysis.figures.length.generalisation import length_generalisation_figure
from analysis.figures.length.positions import position_figure
from analysis.figures.registry import section_charts
from analysis.figures.style import styles
from analysis.report.command import main as report
from analysis.statistics.intervals import mean_interval
from analysis.statistics.summaries import TASKS_IN_WORDS
from analysis.tables.architectures import Architectures
from analysis.tables.trial_folders import load_runs
from data.tasks import IN_WORDS
from tests.helpers.analysis_tables import ARCHITECTURES, plausible_rows, write_sweep, write_trial


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Seven architectures and one nobody has heard of, tested within and beyond their train length."""
    sweep = tmp_path_factory.mktemp("sweep")
    write_sweep(sweep, [*ARCHITECTURES, "Newcomer"], lengths=(5, 10), seeds=(0, 1, 2), eval_lengths=(5, 10, 20))
    return load_runs([sweep]).results


@pytest.fixture(scope="module")
def charts(results):
    return {
        chart.name: chart
        for section in ("bottleneck", "generalisation")
        for chart in section_charts(section, results=results, architectures=Architectures())
    }


def drawn(axes):
    """x, y of every line that shows measurements, by display name."""
    return {
        container.get_label(): np.column_stack(container.lines[0].get_data())
        for container in axes.containers
        if container.lines[0].get_marker() != "None"
    }


def bars(axes):
    """low and high end of the error bars of each line, by display name."""
    return {
        container.get_label(): np.array([segment[:, 1] for segment in container.lines[2][0].get_segments()])
        for container in axes.containers
    }


def test_every_figure_is_drawn(charts):
    assert list(charts) == ["accuracy", "bits", "accuracy_by_position", "exact_match", "length_generalisation"]


@pytest.mark.parametrize("name", ["accuracy", "exact_match"])
def test_accuracy_panels_show_the_points_of_the_csv(charts, name):
    chart = charts[name]
    points = chart.points
    axes = chart.figure.axes[0]
    looks = styles(points["arch"], architectures=Architectures())
    assert set(drawn(axes)) == {look.name for look in looks.values()}
    for arch, curve in points.groupby("arch"):
        np.testing.assert_array_equal(drawn(axes)[looks[arch].name], curve[["length", "mean"]])
        np.testing.assert_allclose(bars(axes)[looks[arch].name], curve[["low", "high"]], atol=1e-12)


def test_chance_is_what_trials_say_it_is_or_that_of_a_uniform_guess(tmp_path):
    for length, chance in ((5, 0.6), (10, 0.7)):
        for task in ("bucket-sort", "parity"):
            metrics = {"greedy_token_accuracy": 0.9, "chance": chance if task == "bucket-sort" else 0.5}
            write_trial(
                tmp_path, length=length, rows=[(length, None, *metric) for metric in metrics.items()], task=task
            )
        write_trial(tmp_path, length=length, task="reverse", vocabulary=8)
    results = load_runs([tmp_path]).results
    chart = accuracy_figure(results, Architectures())
    assert chart is not None
    lines = {
        panel.get_title("left").partition(",")[0]: np.unique(line.get_ydata()).tolist()
        for panel in chart.figure.axes for line in panel.lines if line.get_label() == "chance"
    }  # fmt: skip
    assert lines == {"bucket-sort": [0.6, 0.7], "parity": [0.5], "reverse": [0.125]}


def test_points_are_means_over_seeds_at_the_train_length(results, charts):
    points = charts["accuracy"].points.set_index(["arch", "length"])
    values = results.query(
        "metric == 'greedy_token_accuracy' and arch == 'GRU' and train_length == 10 and eval_length == 10"
    )["value"]
    assert len(values) == 3
    expected = mean_interval(values.to_numpy()).clipped(0, 1)
    assert tuple(points.loc[("GRU", 10)][["mean", "low", "high", "seeds"]]) == expected


def test_the_limits_of_a_task_stand_side_by_side(tmp_path):
    rows = [(length, None, "greedy_token_accuracy", 0.9) for length in (5, 10)]
    for limit in (10, 20, 40):
        for task in ("copy", "reverse"):
            write_trial(tmp_path, rows=rows, length=limit, task=task, min_train_length=1)
    chart = accuracy_figure(load_runs([tmp_path]).results, Architectures())
    assert chart is not None
    titles = [axes.get_title(loc="left") for axes in chart.figure.axes]
    expected = itertools.product(("copy", "reverse"), (10, 20, 40))
    for title, (task, limit) in zip(titles, expected, strict=True):
        assert title.startswith(task) and title.endswith(f"trained up to {limit}")
    place = chart.figure.axes[-1].get_subplotspec()
    assert place is not None and (place.rowspan.start, place.colspan.start) == (1, 2)


def test_intervals_of_proportions_stay_within_0_and_1(tmp_path):
    for seed, accuracy in enumerate((1.0, 0.6, 1.0)):
        write_trial(tmp_path, seed=seed, rows=[(10, None, "greedy_token_accuracy", accuracy)])
    chart = accuracy_figure(load_runs([tmp_path]).results, architectures=Architectures())
    assert chart is not None
    assert chart.points["high"].tolist() == [1.0]
    assert mean_interval([1.0, 0.6, 1.0]).high > 1


def test_bits_lie_against_bits_presented(charts):
    chart = charts["bits"]
    curve = chart.points[chart.points["arch"] == "LSTM"]
    np.testing.assert_array_equal(curve["bits_presented"], [25.0, 50.0])
    np.testing.assert_array_equal(drawn(chart.figure.axes[0])["LSTM"], curve[["bits_presented", "mean"]])


def test_position_map_has_a_row_an_architecture_and_a_column_a_position(charts):
    chart = charts["accuracy_by_position"]
    shown = np.asarray(chart.figure.axes[0].collections[0].get_array())
    assert shown.shape == (8, 10)
    table = chart.points.pivot_table(index="arch", columns="position", values="mean").loc[
        list(styles(chart.points["arch"], architectures=Architectures()))
    ]
    np.testing.assert_array_equal(shown, table)


def test_length_generalisation_has_a_panel_a_train_length(charts):
    chart = charts["length_generalisation"]
    assert [axes.get_title(loc="left").split(",")[2].strip() for axes in chart.figure.axes] == [
        "trained up to 5", "trained up to 10",
    ]  # fmt: skip
    curve = chart.points.query("arch == 'GRU' and train_length == 5")
    np.testing.assert_array_equal(drawn(chart.figure.axes[0])["GRU"], curve[["eval_length", "mean"]])
    assert curve["eval_length"].tolist() == [5, 10, 20]


def test_the_length_of_a_task_in_words_is_a_distance_and_titles_do_not_leave_their_panels(tmp_path):
    assert set(TASKS_IN_WORDS) == set(IN_WORDS)
    rows = [(length, None, "greedy_token_accuracy", 0.9) for length in (10, 20, 40)]
    for task in ("copy", *TASKS_IN_WORDS):
        write_trial(tmp_path, rows=rows, length=20, task=task, vocabulary=218, min_train_length=1)
    results = load_runs([tmp_path]).results
    for draw in (length_generalisation_figure, accuracy_figure):
        chart = draw(results, Architectures())
        assert chart is not None
        chart.figure.draw_without_rendering()
        for axes in (axes for axes in chart.figure.axes if axes.get_visible()):
            in_words = not axes.get_title(loc="left").startswith("copy")
            assert axes.get_xlabel().endswith("istance (words)" if in_words else "ength (tokens)")
            (title,) = (text for text in axes.findobj(Text) if text.get_text() == axes.get_title(loc="left"))
            assert title.get_window_extent().x1 <= axes.get_window_extent().x1 + 5


@pytest.mark.parametrize("draw", [length_generalisation_figure, accuracy_figure, bits_figure])
def test_a_row_has_all_limits_of_one_task(draw, tmp_path):
    metrics = {"greedy_token_accuracy": 0.9, "bits_recovered": 9.0, "bits_presented": 10.0}
    rows = [(length, None, metric, value) for length in (5, 40) for metric, value in metrics.items()]
    for task, limit in itertools.product(("copy", "reverse"), (10, 20, 30)):
        write_trial(tmp_path, rows=rows, length=limit, task=task, min_train_length=1)
    chart = draw(load_runs([tmp_path]).results, Architectures())
    assert [axes.get_title(loc="left").split(",")[0] for axes in chart.figure.axes] == ["copy"] * 3 + ["reverse"] * 3
    assert [axes.get_subplotspec().rowspan.start for axes in chart.figure.axes] == [0] * 3 + [1] * 3


def test_no_length_generalisation_without_other_lengths(tmp_path):
    write_trial(tmp_path)
    assert length_generalisation_figure(load_runs([tmp_path]).results, architectures=Architectures()) is None


def test_figures_that_lack_their_numbers_are_left_out(tmp_path):
    write_trial(tmp_path, rows=[(10, None, "loss", 1.0)])
    assert section_charts("bottleneck", results=load_runs([tmp_path]).results, architectures=Architectures()) == []


def test_a_task_with_one_target_token_has_no_position_map(tmp_path):
    write_trial(tmp_path, rows=[(10, 1, "greedy_token_accuracy_by_position", 0.5)])
    assert position_figure(load_runs([tmp_path]).results, architectures=Architectures()) is None


def test_one_length_and_one_seed_can_be_drawn_and_saved(tmp_path):
    write_trial(tmp_path / "runs", rows=plausible_rows("GRU", 10, 0))
    for chart in section_charts(
        "bottleneck", results=load_runs([tmp_path / "runs"]).results, architectures=Architectures()
    ):
        save_chart(chart, tmp_path)
    assert (tmp_path / "accuracy.png").stat().st_size > 5000


def test_saved_csv_holds_exactly_the_points_and_files_are_the_same_again(charts, tmp_path):
    chart = charts["accuracy"]
    first = save_chart(chart, tmp_path / "first")
    again = save_chart(chart, tmp_path / "again")
    pd.testing.assert_frame_equal(pd.read_csv(first["csv"]), chart.points, check_dtype=False)
    for suffix in ("png", "pdf", "csv"):
        assert first[suffix].read_bytes() == again[suffix].read_bytes()
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == [
        "accuracy.csv",
        "accuracy.pdf",
        "accuracy.png",
    ]


def test_known_architectures_keep_their_order_and_unknown_ones_follow():
    names = styles(["Zebra", "Transformer", "GRU", "Aardvark", "GRU [layers=2]"], architectures=Architectures())
    assert list(names) == ["GRU", "GRU [layers=2]", "Transformer", "Aardvark", "Zebra"]
    assert names["Zebra"].name == "Zebra"
    assert (
        styles(["VanillaRNN [layers=2]"], architectures=Architectures())["VanillaRNN [layers=2]"].name
        == "Vanilla RNN [layers=2]"
    )


def test_all_styles_differ_in_colour_and_in_grey():
    looks = list(
        styles([*ARCHITECTURES, *(f"New{number}" for number in range(5))], architectures=Architectures()).values()
    )
    assert len({look.color for look in looks}) == 12
    assert len({look.marker for look in looks}) == 12
    many = styles([f"New{number:02}" for number in range(70)], architectures=Architectures()).values()
    assert len({(look.color, look.marker, look.line) for look in many}) == 70


def test_one_figure_is_written_by_its_name(tmp_path, capsys):
    write_sweep(tmp_path / "runs", ("GRU", "Newcomer"), lengths=(5,), seeds=(0, 1))
    assert report([str(tmp_path / "runs"), "--output", str(tmp_path / "out"), "--figures", "accuracy"]) == 0
    assert "Newcomer" in (tmp_path / "out/figures/accuracy.csv").read_text()
    assert "accuracy.png" in capsys.readouterr().out
    assert report([str(tmp_path / "nowhere"), "--figures", "accuracy"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
