"""Decay and horizon are those of the curve."""

import math

import numpy as np
import pytest

from analysis.report.sections.probes.gradients import horizon_text
from analysis.statistics.gradient_fits import both_phases, horizon
from analysis.statistics.gradient_fits import fits as fits_of
from analysis.statistics.intervals import mean_interval
from analysis.tables.architectures import Architectures
from tests.helpers.gradient_tables import exponential, flat, rows_of, seeds_of, table_of


def fits(table):
    return fits_of(table, Architectures())


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
    assert horizon_text(fit.horizon) == text


def test_norms_at_the_float_floor_are_left_out_of_the_fit_and_counted():
    norms = np.maximum(exponential(0.1, 60, first=1.0), 1.2e-38)
    (fit,) = fits(table_of(rows_of("VanillaRNN", norms)))
    assert fit.decay is not None
    assert fit.decay.mean == pytest.approx(0.1)
    assert fit.at_floor == np.count_nonzero(norms <= 1e-37) > 20


def test_a_curve_without_any_signal_has_neither_decay_nor_horizon():
    (fit,) = fits(table_of(rows_of("VanillaRNN", np.full(5, 1.2e-38))))
    assert (fit.decay, fit.exponential, horizon_text(fit.horizon)) == (None, None, "-")


def test_norms_that_do_not_shrink_are_not_exponential():
    fitted = fits(table_of(seeds_of("Transformer", [flat()] * 3), seeds_of("GRU", [exponential(1.0)] * 3)))
    assert {fit.arch: fit.exponential for fit in fitted} == {"Transformer": False, "GRU": False}


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
    (change,) = both_phases(both, Architectures())
    assert [fit and fit.decay and round(fit.decay.mean, 6) for fit in (change.initial, change.trained)] == [0.5, 0.9]


def test_variants_and_lengths_are_fitted_apart():
    curves = [rows_of("GRU", exponential(0.5)), rows_of("GRU", exponential(0.7, 20)),
              rows_of("GRU", exponential(0.9), variant="recurrent_init=identity")]  # fmt: skip
    assert [(fit.name, fit.length) for fit in fits(table_of(*curves))] == [
        ("GRU", 20), ("GRU", 30), ("GRU [recurrent_init=identity]", 30),
    ]  # fmt: skip
