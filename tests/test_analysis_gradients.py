"""Gradient flow: decay and horizon are those of the curve, figures show their points, bad files are named."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis import gradients
from analysis.errors import ReportError
from analysis.gradient_fits import COLUMNS, changes, fits, horizon, read_gradients, statements
from analysis.load_runs import load_runs
from analysis.statistics import mean_interval
from analysis.style import styles
from tests.analysis_tables import ARCHITECTURES, write_trial

RECURRENT = ARCHITECTURES[:3]
DECAYS = {"VanillaRNN": (0.5, 0.51, 0.52), "LSTM": (0.7, 0.71, 0.72), "GRU": (0.8, 0.81, 0.82)}


def rows_of(arch, norms, length=None, seed=0, phase="initial", step=0, quantity="embedding_gradient", variant="",
            task="first-token-recall"):  # fmt: skip
    """One curve: norms at distance 1, 2, …"""
    length = length or len(norms)
    return [
        (arch, variant, task, length, seed, phase, step, quantity, distance, norm, norm * 0.8, norm * 1.5, 32)
        for distance, norm in enumerate(norms, start=1)
    ]


def exponential(decay, length=30, first=0.1):
    return first * decay ** np.arange(length)


def flat(length=30):
    """Norms that go up and down without a trend."""
    return 0.1 * np.where(np.arange(length) % 2, 1.2, 1.0)


def table_of(*curves):
    return pd.DataFrame([row for rows in curves for row in rows], columns=COLUMNS)


def seeds_of(arch, norms, phase="initial", step=0, quantity="embedding_gradient"):
    return [row for seed, own in enumerate(norms) for row in rows_of(arch, own, None, seed, phase, step, quantity)]


def training_rows(arch, seed, steps=(100, 200)):
    common = (arch, "", "first-token-recall", 30, seed, "training")
    return [
        (*common, step, quantity, np.nan, value, low, high, np.nan)
        for step in steps
        for quantity, value, low, high in (
            ("gradient_norm", 100 / step + seed, 0.1, 9.0), ("gradient_norm/encoder", 0.3, 0.1, 0.9),
            ("clipped", 0.1 * (seed + 1), np.nan, np.nan),
        )
    ]  # fmt: skip


@pytest.fixture(scope="module")
def table():
    """Seven architectures, three seeds, at initialisation, in training and after it."""
    curves = []
    for arch in ARCHITECTURES:
        for seed in range(3):
            own = exponential(DECAYS[arch][seed]) if arch in DECAYS else flat()
            for phase, step in (("initial", 0), ("training", 100), ("trained", 200)):
                curves.append(rows_of(arch, own**0.5 if step else own, seed=seed, phase=phase, step=step))
                if arch in DECAYS:
                    curves.append(rows_of(arch, own, seed=seed, phase=phase, step=step, quantity="jacobian"))
            curves.append(training_rows(arch, seed))
    return table_of(*curves)


@pytest.fixture(scope="module")
def charts(table):
    return {chart.name: chart for chart in gradients.gradient_charts(table)}


def drawn(axes):
    """x, y of every line that shows measurements, by display name."""
    return {
        line.get_label(): np.column_stack(line.get_data()) for line in axes.lines if line.get_marker() != "None"
    }  # fmt: skip


def verdicts(table):
    return [one.verdict for one in statements(fits(table))]


def test_an_exponential_has_its_factor_as_decay_and_the_interval_of_its_slopes_over_seeds():
    (fit,) = fits(table_of(seeds_of("GRU", [exponential(decay) for decay in (0.8, 0.81, 0.82)])))
    assert fit.decay is not None
    np.testing.assert_allclose(fit.decay[:3], np.exp(mean_interval(np.log([0.8, 0.81, 0.82]))[:3]), rtol=1e-12)
    assert fit.decay.count == 3
    np.testing.assert_allclose(fit.r_squared, 1.0)
    assert fit.exponential is True


def test_the_horizon_is_where_the_norm_falls_to_one_percent():
    distances = np.arange(1.0, 31.0)
    assert horizon(distances, exponential(0.8)) == pytest.approx(1 + math.log(0.01) / math.log(0.8))
    assert horizon(np.array([1.0, 11.0]), np.array([1.0, 1e-4])) == pytest.approx(6.0)
    assert horizon(distances, flat()) == math.inf


@pytest.mark.parametrize(
    ("decays", "text"),
    [((0.5, 0.5, 0.5), "7.6 [7.6, 7.6]"), ((0.9, 0.9, 0.9), "> 30"), ((0.5, 0.9, 0.9), "> 30 in 2 of 3 seeds"),
     ((0.5,), "7.6 (no interval)")],
)  # fmt: skip
def test_a_horizon_that_some_seeds_never_reach_has_no_mean(decays, text):
    (fit,) = fits(table_of(seeds_of("GRU", [exponential(decay) for decay in decays])))
    assert gradients.horizon_text(fit.horizon) == text


def test_norms_at_the_float_floor_are_left_out_of_the_fit_and_counted():
    norms = np.maximum(exponential(0.1, 60, first=1.0), 1.2e-38)
    (fit,) = fits(table_of(rows_of("VanillaRNN", norms)))
    assert fit.decay is not None
    assert fit.decay.mean == pytest.approx(0.1)
    assert fit.at_floor == np.count_nonzero(norms <= 1e-37) > 20


def test_a_curve_without_any_signal_has_neither_decay_nor_horizon():
    (fit,) = fits(table_of(rows_of("VanillaRNN", np.full(5, 1.2e-38))))
    assert (fit.decay, fit.exponential, gradients.horizon_text(fit.horizon)) == (None, None, "-")


def test_norms_that_do_not_shrink_are_not_exponential():
    found = fits(table_of(seeds_of("Transformer", [flat()] * 3), seeds_of("GRU", [exponential(1.0)] * 3)))
    assert {fit.arch: fit.exponential for fit in found} == {"Transformer": False, "GRU": False}


def test_one_seed_gives_a_decay_but_no_interval_and_no_verdict():
    (fit,) = fits(table_of(rows_of("GRU", exponential(0.8))))
    assert fit.decay is not None
    assert fit.decay.mean == pytest.approx(0.8)
    assert math.isnan(fit.decay.low)
    assert fit.exponential is None


def test_both_phases_stand_side_by_side_and_the_last_step_counts_as_trained():
    both = table_of(
        rows_of("GRU", exponential(0.5)),
        rows_of("GRU", exponential(0.7), phase="trained", step=100),
        rows_of("GRU", exponential(0.9), phase="trained", step=200),
    )
    (change,) = changes(both)
    assert [fit and fit.decay and round(fit.decay.mean, 6) for fit in (change.initial, change.trained)] == [0.5, 0.9]


def test_variants_and_lengths_are_fitted_apart():
    curves = [rows_of("GRU", exponential(0.5)), rows_of("GRU", exponential(0.7, 20)),
              rows_of("GRU", exponential(0.9), variant="recurrent_init=identity")]  # fmt: skip
    assert [(fit.name, fit.length) for fit in fits(table_of(*curves))] == [
        ("GRU", 20), ("GRU", 30), ("GRU [recurrent_init=identity]", 30),
    ]  # fmt: skip


def test_textbooks_are_right_where_intervals_lie_apart(table):
    assert verdicts(table[table["phase"] == "initial"]) == ["agrees"] * 3


def test_textbooks_are_wrong_where_the_lstm_decays_faster_and_attention_exponentially():
    said = statements(
        fits(
            table_of(
                seeds_of("VanillaRNN", [exponential(decay) for decay in (0.7, 0.701)]),
                seeds_of("LSTM", [exponential(decay) for decay in (0.5, 0.501)]),
                seeds_of("GRU", [exponential(decay) for decay in (0.9, 0.901)]),
                seeds_of("Bahdanau", [exponential(decay) for decay in (0.9, 0.901)]),
            )
        )
    )
    assert [one.verdict for one in said] == ["disagrees"] * 3
    assert "faster are LSTM; decay per step Vanilla RNN 0.700 [" in said[0].reason
    assert "0.500 [" in said[1].reason
    assert "an exponential fits Bahdanau attention" in said[2].reason


def test_textbooks_cannot_be_judged_from_one_seed_or_from_overlapping_intervals_or_without_the_architectures(table):
    assert verdicts(table[(table["seed"] == 0) & table["arch"].isin(RECURRENT)]) == ["cannot be told"] * 6
    overlapping = [seeds_of(arch, [exponential(decay) for decay in (0.6, 0.8)]) for arch in RECURRENT]
    assert verdicts(table_of(*overlapping)) == ["cannot be told"] * 3
    assert verdicts(table[table["arch"] == "VanillaRNN"]) == ["cannot be told"] * 6


def test_every_figure_is_drawn(charts):
    assert list(charts) == ["gradient_norm", "gradient_heatmap", "jacobian", "training_norms"]


def test_the_norm_figure_shows_geometric_means_over_seeds_relative_to_the_nearest_token(table, charts):
    chart = charts["gradient_norm"]
    looks = styles(chart.points["arch"])
    for axes, phase in zip(chart.figure.axes, ("initial", "trained"), strict=True):
        for arch, look in looks.items():
            own = table[(table["quantity"] == "embedding_gradient") & (table["arch"] == arch)]
            own = own[own["phase"] == phase]
            curves = np.log(own.pivot_table(index="distance", columns="seed", values="mean").to_numpy(float))
            expected = [np.exp(mean_interval(line)[:3]) for line in curves - curves[0]]
            points = chart.points[(chart.points["arch"] == arch) & (chart.points["phase"] == phase)]
            np.testing.assert_allclose(points[["mean", "low", "high"]], expected, rtol=1e-9)
            np.testing.assert_array_equal(drawn(axes)[look.name], points[["distance", "mean"]])


def test_with_one_seed_the_band_is_that_of_the_sequences_and_the_caption_says_so():
    chart = gradients.gradient_norm_figure(table_of(rows_of("GRU", exponential(0.8))))
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
    own = chart.points[chart.points["arch"] == "GRU"]
    np.testing.assert_array_equal(
        np.asarray(chart.figure.axes[2].collections[0].get_array()).reshape(30, 3),
        own.pivot_table(index="distance", columns="step", values="log10_norm"),
    )
    expected = np.mean([np.log10(exponential(decay)[9]) for decay in DECAYS["GRU"]])
    assert own.query("step == 0 and distance == 10")["log10_norm"].item() == pytest.approx(expected)


def test_training_norms_are_means_over_seeds_at_every_step(charts):
    points = charts["training_norms"].points.query("arch == 'LSTM' and step == 100").set_index("quantity")
    assert points.loc["gradient_norm", "mean"] == pytest.approx(6 ** (1 / 3))
    expected = mean_interval([0.1, 0.2, 0.3]).clipped(0, 1)[:3]
    assert tuple(points.loc["clipped", ["mean", "low", "high"]]) == pytest.approx(expected)


def test_a_table_with_only_initial_measurements_gives_one_panel_and_one_pair_of_columns(table, tmp_path):
    initial = table[(table["phase"] == "initial") & (table["quantity"] == "embedding_gradient")]
    (chart,) = gradients.gradient_charts(initial)
    assert [axes.get_title(loc="left") for axes in chart.figure.axes] == [
        "first-token-recall, length 30, at initialisation"
    ]
    header = gradients.write_figures(initial, tmp_path).splitlines()[0]
    assert "at initialisation" in header
    assert "after training" not in header


def test_only_the_greatest_length_is_drawn_where_lengths_are_many():
    def shown(lengths):
        chart = gradients.gradient_norm_figure(table_of(*(rows_of("GRU", exponential(0.8, n)) for n in lengths)))
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
    chart = gradients.accuracy_by_lag_figure(recall_trials(tmp_path), table)
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
    chart = gradients.accuracy_by_lag_figure(recall_trials(tmp_path), pd.DataFrame(columns=COLUMNS))
    assert chart is not None
    assert chart.points["trained_horizon_lag"].isna().all()


def test_a_table_without_measurements_gives_no_figure():
    assert gradients.gradient_charts(pd.DataFrame(columns=COLUMNS)) == []


def written(table, folder, **columns):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gradients.csv"
    table.assign(**columns).to_csv(path, index=False)
    return path


def test_alone_it_reads_folders_and_writes_figures_points_and_text(table, tmp_path, capsys):
    one = table[table["arch"].isin(["GRU", "Transformer"])]
    written(one[one["seed"] == 0], tmp_path / "sweep" / "GRU-s0")
    written(one[one["seed"] > 0], tmp_path / "sweep" / "GRU-s1")
    assert gradients.main([str(tmp_path / "sweep"), "--output", str(tmp_path / "out")]) == 0
    assert "0.810 [" in capsys.readouterr().out
    for chart in gradients.gradient_charts(read_gradients([tmp_path / "sweep"])):
        files = [tmp_path / "out" / "figures" / f"{chart.name}.{suffix}" for suffix in ("png", "pdf", "csv")]
        assert all(file.stat().st_size > 100 for file in files)
        saved = pd.read_csv(files[2], keep_default_na=False, na_values={"low": "", "high": ""})
        pd.testing.assert_frame_equal(saved, chart.points.reset_index(drop=True), check_dtype=False)
    text = (tmp_path / "out" / "gradients.md").read_text()
    assert (
        "The vanilla RNN decays fastest (first-token-recall, length 30, at initialisation): **cannot be told**" in text
    )
    assert "(figures/gradient_norm.png)" in text


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
    assert gradients.main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}: {problem}" in error
    assert error.count("\n") == 1


def test_a_folder_without_measurements_and_one_that_is_none_are_refused(tmp_path, capsys):
    assert gradients.main([str(tmp_path)]) == 2
    assert "no gradients.csv" in capsys.readouterr().err
    assert gradients.main([str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
