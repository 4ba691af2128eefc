"""The length that halves accuracy and the capacity are found where they were put; capacity against hidden size too."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.figures.length.capacity import capacity_figure, capacity_points, context_figure
from analysis.report.blocks import titled
from analysis.report.render import markdown
from analysis.report.sections.lengths import halving_lengths
from analysis.statistics.length_fits import capacity_lines, fitted_capacity, length_fits, length_keeping
from analysis.tables.architectures import Architectures
from tests.helpers.analysis_tables import LENGTHS, results_of


def saturating(limit: float) -> dict[str, list[float]]:
    presented = (5 * LENGTHS).tolist()
    return {
        "greedy_token_accuracy": [min(1.0, limit / bits) for bits in presented],
        "bits_presented": presented,
        "bits_recovered": [min(limit, bits) for bits in presented],
    }


def test_accuracy_halves_half_way_between_two_lengths_in_their_logarithm():
    assert length_keeping(0.5, LENGTHS, np.array([0.8, 0.8, 0.6, 0.2])) == pytest.approx(40 * math.sqrt(2))


def test_accuracy_that_stays_above_half_never_halves():
    assert length_keeping(0.5, LENGTHS, np.array([0.8, 0.7, 0.6, 0.41])) == math.inf


def test_accuracy_that_is_half_at_once_halves_there():
    assert length_keeping(0.5, LENGTHS, np.array([0.8, 0.4, 0.1, 0.0])) == pytest.approx(20)


@pytest.mark.parametrize("limit", [30.0, 75.0, 199.0])
def test_capacity_is_the_limit_that_made_the_bits(limit):
    presented = 5 * LENGTHS
    assert fitted_capacity(presented, np.minimum(presented, limit)) == pytest.approx(limit, rel=1e-3)


def test_a_limit_that_was_not_reached_is_infinite():
    assert fitted_capacity(5 * LENGTHS, 5 * LENGTHS) == math.inf


def test_fits_are_over_seeds_with_an_interval():
    limits = (90.0, 100.0, 110.0)
    fit, *others = length_fits(
        results_of({("GRU", seed): saturating(limit) for seed, limit in enumerate(limits)}), Architectures()
    )
    assert not others and fit.seeds == 3 and fit.longest == 80 and fit.most_bits == 400
    assert fit.capacity is not None and fit.capacity.mean == pytest.approx(100, rel=1e-3)
    assert fit.capacity.low < 90 and fit.capacity.high > 110 and fit.capacity.count == 3
    assert fit.half_length is not None and fit.half_length.low < fit.half_length.mean < fit.half_length.high


def test_one_seed_that_never_comes_so_far_leaves_no_mean():
    fit = length_fits(results_of({("GRU", 0): saturating(90), ("GRU", 1): saturating(1e6)}), Architectures())[0]
    assert fit.half_length is None and fit.capacity is None
    assert (fit.unhalved, fit.unfilled, fit.seeds) == (1, 1, 2)


def test_what_was_not_learnt_at_the_shortest_length_has_nothing_to_halve():
    chance = {"greedy_token_accuracy": [0.06, 0.05, 0.06, 0.07]}
    fit = length_fits(results_of({("VanillaRNN", 0): chance, ("VanillaRNN", 1): chance}), Architectures())[0]
    assert fit.half_length is None and fit.unlearnt == 2
    text = markdown.document(titled(halving_lengths([fit], Architectures())))
    assert "| Vanilla RNN | copy, vocabulary 32 | not learnt |" in text


def test_one_length_fits_nothing():
    rows = results_of({("GRU", 0): saturating(90)})
    assert length_fits(rows[rows["train_length"] == 10], Architectures()) == []


def widths(sizes: dict[str, int]) -> pd.DataFrame:
    rows = [{"trial": trial, "hidden_size": size, "context_size": 2 * size} for trial, size in sizes.items()]
    return pd.DataFrame(rows)


def test_capacity_by_size_is_the_most_that_was_recovered_at_any_length():
    results = results_of({("GRU [hidden_size=8]", 0): saturating(40), ("GRU [hidden_size=16]", 0): saturating(80)})
    trials = widths({trial: int(trial.partition("=")[2].partition("]")[0]) for trial in results["trial"].unique()})
    points = capacity_points(results, trials)
    assert points[["arch", "hidden_size", "mean", "seeds"]].to_numpy().tolist() == [
        ["GRU", 8, 40, 1],
        ["GRU", 16, 80, 1],
    ]
    chart = capacity_figure(results, trials, architectures=Architectures())
    assert chart is not None and "one seed" in chart.caption
    assert chart.points.equals(points)


def test_one_size_makes_no_figure_of_capacity():
    results = results_of({("GRU", 0): saturating(40)})
    assert (
        capacity_figure(results, widths(dict.fromkeys(results["trial"].unique(), 8)), architectures=Architectures())
        is None
    )


def test_contexts_of_different_kinds_are_compared_by_what_one_of_their_numbers_carries():
    results = results_of(
        {("GRU", 0): saturating(80), ("DeltaNet", 0): saturating(160), ("Bahdanau", 0): saturating(400)}
    )
    trials = widths({trial: 512 if "Delta" in trial else 16 for trial in results["trial"].unique()})  # two numbers each
    trials.loc[trials["trial"].str.contains("Bahdanau"), "context_size"] = np.nan  # attends: it has no such context
    chart = context_figure(results, trials, Architectures())
    assert chart is not None
    bits, each_number = (
        {
            tuple(np.asarray(line.get_xydata()).ravel().tolist())
            for line in axes.lines
            if line.get_marker() not in ("None", "_", "|")
        }
        for axes in chart.figure.axes
    )
    assert bits == {(32, 80), (1024, 160)} and each_number == {(32, 80 / 32), (1024, 160 / 1024)}
    assert context_figure(results, trials.assign(context_size=32), Architectures()) is None


def test_bits_for_each_number_of_the_context_are_the_slope_over_widths():
    def bits(size: int, seed: int) -> float:
        return 20 + (3.0 + 0.1 * seed) * 2 * size  # each unit holds two numbers

    cells = [(size, seed) for size in (8, 16, 32) for seed in (-1, 0, 1)]
    results = results_of({(f"LSTM [hidden_size={size}]", seed): saturating(bits(size, seed)) for size, seed in cells})
    trials = widths({trial: int(trial.partition("=")[2].partition("]")[0]) for trial in results["trial"].unique()})
    [line] = capacity_lines(results, trials, Architectures())
    assert (line.arch, line.bits_per_number.count) == ("LSTM", 3)
    assert line.bits_per_number.mean == pytest.approx(3.0) and line.bits_per_number.low < 2.9
    assert line.at(100).mean == pytest.approx(20 + 3.0 * 100)
    assert line.sizes.tolist() == [[8, 16], [16, 32], [32, 64]]
    # A width that recovered all of the 400 bits presented met no limit, and its bits would bend the line.
    full = {("LSTM [hidden_size=64]", seed): saturating(400) for seed in (-1, 0, 1)}
    results = pd.concat([results, results_of(full)])
    trials = widths({trial: int(trial.partition("=")[2].partition("]")[0]) for trial in results["trial"].unique()})
    [same] = capacity_lines(results, trials, Architectures())
    np.testing.assert_allclose(same.lines, line.lines)
    # Trials that had not converged are not fitted either.
    assert capacity_lines(results.assign(ended="budget"), trials, Architectures()) == []


def test_what_is_kept_and_halved_is_counted_from_chance_where_that_is_known():
    coin = {"greedy_token_accuracy": [1.0, 1.0, 0.8, 0.5], "chance": [0.5] * 4}
    [fit] = length_fits(results_of({("GRU", 0): coin, ("GRU", 1): coin}), Architectures())
    assert fit.half_length is not None and fit.half_length.mean == pytest.approx(40 * 2 ** (0.05 / 0.3))
    guessing = {"greedy_token_accuracy": [0.7, 0.5, 0.5, 0.5], "chance": [0.5] * 4}
    [fit] = length_fits(results_of({("GRU", 0): guessing, ("GRU", 1): guessing}), Architectures())
    assert fit.unlearnt == 2
