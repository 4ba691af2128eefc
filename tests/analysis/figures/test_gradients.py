"""Figures of gradient flow show their points; alone, figures and text are written from folders."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.figures.gradients.distance import gradient_norm_figure
from analysis.figures.gradients.recall import accuracy_by_lag_figure
from analysis.figures.registry import section_charts
from analysis.figures.style import styles
from analysis.report.failures import not_fitted
from analysis.report.probe_pages import write_gradients
from analysis.statistics.gradient_fits import fits
from analysis.statistics.intervals import mean_interval
from analysis.tables.architectures import Architectures
from analysis.tables.evidence import gather, write_evidence
from analysis.tables.gradient_tables import read_gradients
from analysis.tables.schema import GRADIENTS
from analysis.tables.trial_folders import load_runs
from tests.helpers.analysis_tables import write_trial
from tests.helpers.gradient_tables import (
    DECAYS,
    RECURRENT,
    exponential,
    rows_of,
    seeds_of,
    seven_architectures,
    table_of,
    written,
)


@pytest.fixture(scope="module")
def table():
    return seven_architectures()


@pytest.fixture(scope="module")
def charts(table):
    return {chart.name: chart for chart in section_charts("gradients", Architectures(), gradients=table)}


def drawn(axes):
    """x, y of every line that shows measurements, by display name."""
    return {
        line.get_label(): np.column_stack(line.get_data()) for line in axes.lines if line.get_marker() != "None"
    }  # fmt: skip


def test_every_figure_is_drawn(charts):
    assert list(charts) == ["gradient_norm", "gradient_heatmap", "jacobian", "training_norms"]


def test_the_norm_figure_shows_geometric_means_over_seeds_relative_to_the_nearest_token(table, charts):
    chart = charts["gradient_norm"]
    looks = styles(chart.points["arch"], architectures=Architectures())
    for axes, phase in zip(chart.figure.axes, ("initial", "trained"), strict=True):
        for arch, look in looks.items():
            measured = table[(table["quantity"] == "embedding_gradient") & (table["arch"] == arch)]
            measured = measured[measured["phase"] == phase]
            curves = np.log(measured.pivot_table(index="distance", columns="seed", values="mean").to_numpy(float))
            expected = [np.exp(mean_interval(line)[:3]) for line in curves - curves[0]]
            points = chart.points[(chart.points["arch"] == arch) & (chart.points["phase"] == phase)]
            np.testing.assert_allclose(points[["mean", "low", "high"]], expected, rtol=1e-9)
            np.testing.assert_array_equal(drawn(axes)[look.name], points[["distance", "mean"]])


def test_with_one_seed_the_band_is_that_of_the_sequences_and_the_caption_says_so():
    chart = gradient_norm_figure(table_of(rows_of("GRU", exponential(0.8))), architectures=Architectures())
    assert chart is not None
    np.testing.assert_allclose(chart.points["low"], 0.8 * chart.points["mean"])
    np.testing.assert_allclose(chart.points["high"], 1.5 * chart.points["mean"])
    assert "One seed, so no interval over seeds" in chart.caption


def test_the_jacobian_figure_has_recurrent_encoders_only_and_is_not_relative(charts):
    points = charts["jacobian"].points
    assert set(points["arch"]) == set(RECURRENT)
    np.testing.assert_allclose(points[points["distance"] == 1]["mean"], 0.1)


def test_the_map_shows_the_mean_of_log10_norms_at_every_step_and_distance(charts):
    chart = charts["gradient_heatmap"]
    points = chart.points[chart.points["arch"] == "GRU"]
    np.testing.assert_array_equal(
        np.asarray(chart.figure.axes[2].collections[0].get_array()).reshape(30, 3),
        points.pivot_table(index="distance", columns="step", values="log10_norm"),
    )
    expected = np.mean([np.log10(exponential(decay)[9]) for decay in DECAYS["GRU"]])
    assert points.query("step == 0 and distance == 10")["log10_norm"].item() == pytest.approx(expected)


def test_training_norms_are_means_over_seeds_at_every_step(charts):
    points = charts["training_norms"].points.query("arch == 'LSTM' and step == 100").set_index("quantity")
    assert points.loc["gradient_norm", "mean"] == pytest.approx(6 ** (1 / 3))
    expected = mean_interval([0.1, 0.2, 0.3]).clipped(0, 1)[:3]
    assert tuple(points.loc["clipped", ["mean", "low", "high"]]) == pytest.approx(expected)


def test_a_table_with_only_initial_measurements_gives_one_panel_and_one_pair_of_columns(table, tmp_path):
    initial = table[(table["phase"] == "initial") & (table["quantity"] == "embedding_gradient")]
    (chart,) = section_charts("gradients", Architectures(), gradients=initial)
    assert [axes.get_title(loc="left") for axes in chart.figure.axes] == [
        "first-token-recall, length 30, at initialisation"
    ]
    header = write_gradients(initial, tmp_path, Architectures()).splitlines()[0]
    assert "at initialisation" in header
    assert "after training" not in header


def test_only_the_greatest_length_is_drawn_where_lengths_are_many():
    def shown(lengths):
        chart = gradient_norm_figure(
            table_of(*(rows_of("GRU", exponential(0.8, n)) for n in lengths)), architectures=Architectures()
        )
        assert chart is not None
        return sorted(set(chart.points["length"]))

    assert shown((10, 20)) == [10, 20]
    assert shown((10, 20, 30)) == [30]


def recall_trials(folder):
    for length in (11, 21):
        for seed in (0, 1):
            accuracy = [(length, None, "greedy_token_accuracy", 1 - 0.02 * length + 0.1 * seed)]
            write_trial(folder, "GRU", length, seed, accuracy, task="first-token-recall")
    write_trial(folder, "LSTM", 40, 0, task="copy")
    return load_runs([folder]).results


def test_accuracy_lies_against_the_lag_with_the_trained_horizon_on_the_axis(tmp_path):
    table = table_of(seeds_of("GRU", [exponential(0.5)] * 2, phase="trained", step=200))
    chart = accuracy_by_lag_figure(recall_trials(tmp_path), table, architectures=Architectures())
    assert chart is not None
    assert chart.points["lag"].tolist() == [10, 20]
    assert tuple(chart.points.loc[0, ["mean", "low", "high"]]) == mean_interval([0.78, 0.88]).clipped(0, 1)[:3]
    horizon_lag = math.log(0.01) / math.log(0.5)
    np.testing.assert_allclose(chart.points["trained_horizon_lag"], horizon_lag)
    marks = [
        np.asarray(line.get_xdata()) for line in chart.figure.axes[0].lines if line.get_markerfacecolor() == "white"
    ]
    np.testing.assert_allclose(marks, [[horizon_lag]])


def test_without_a_trained_horizon_accuracy_is_still_drawn(tmp_path):
    chart = accuracy_by_lag_figure(
        recall_trials(tmp_path), pd.DataFrame(columns=GRADIENTS.names), architectures=Architectures()
    )
    assert chart is not None
    assert chart.points["trained_horizon_lag"].isna().all()


def test_a_table_without_measurements_gives_no_figure():
    assert section_charts("gradients", Architectures(), gradients=pd.DataFrame(columns=GRADIENTS.names)) == []


def test_the_page_of_several_folders_has_figures_points_and_text(table, tmp_path):
    one = table[table["arch"].isin(["GRU", "Transformer"])]
    written(one[one["seed"] == 0], tmp_path / "sweep" / "GRU-s0")
    written(one[one["seed"] > 0], tmp_path / "sweep" / "GRU-s1")
    read = read_gradients([tmp_path / "sweep"])
    assert "0.810 [" in write_gradients(read, tmp_path / "out", Architectures())
    for chart in section_charts("gradients", Architectures(), gradients=read):
        files = [tmp_path / "out" / "figures" / f"{chart.name}.{suffix}" for suffix in ("png", "pdf", "csv")]
        assert all(file.stat().st_size > 100 for file in files)
        saved = pd.read_csv(files[2], keep_default_na=False, na_values={"low": "", "high": ""})
        pd.testing.assert_frame_equal(saved, chart.points.reset_index(drop=True), check_dtype=False)
    text = (tmp_path / "out" / "gradients.md").read_text()
    assert (
        "The vanilla RNN decays fastest (first-token-recall, length 30, at initialisation): **cannot be told**" in text
    )
    assert "(figures/gradient_norm.png)" in text


@pytest.fixture
def with_a_stopped_seed(tmp_path):
    """Three seeds of which the third, whose decay is another, used up its budget before it had converged."""
    for seed, (decay, ended) in enumerate([(0.5, "converged"), (0.5, "converged"), (0.9, "budget")]):
        trial = write_trial(tmp_path, "GRU", 30, seed, task="first-token-recall", ended=ended)
        before = rows_of("GRU", exponential(0.7), seed=seed)
        written(table_of(before, rows_of("GRU", exponential(decay), seed=seed, phase="trained", step=200)), trial)
    return gather([str(tmp_path)])


def test_a_trial_that_had_not_converged_is_ringed_after_training_alone(with_a_stopped_seed):
    (chart,) = section_charts("gradients", Architectures(), gradients=with_a_stopped_seed.gradients)
    assert chart.points.groupby("phase")["stopped"].unique().to_dict() == {"initial": [0], "trained": [1]}
    rings = [[line.get_gid() for line in axes.lines if "stopped" in str(line.get_gid())] for axes in chart.figure.axes]
    assert [len(of_panel) for of_panel in rings] == [0, 1]
    assert "not converged" in chart.caption


def test_a_trial_that_had_not_converged_decides_nothing_and_the_report_names_it(with_a_stopped_seed):
    evidence = with_a_stopped_seed
    decays = {fit.phase: fit.decay for fit in fits(evidence.gradients, Architectures()) if fit.decay}
    assert (decays["initial"].count, decays["initial"].mean) == (3, pytest.approx(0.7))
    assert (decays["trained"].count, decays["trained"].mean) == (2, pytest.approx(0.5))
    assert not_fitted(evidence.gradients, Architectures()) == (
        " Not fitted after training: GRU at length 30: 1 not converged."
    )


def test_tables_that_were_exported_know_it_too(with_a_stopped_seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    write_evidence(with_a_stopped_seed, folder)
    assert list(pd.read_csv(folder / "gradients.csv").columns) == GRADIENTS.names
    again = gather([str(folder)]).gradients
    assert again["ended"].value_counts().to_dict() == {"": 90, "converged": 60, "budget": 30}
