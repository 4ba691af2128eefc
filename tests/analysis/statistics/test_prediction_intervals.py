"""The report says where one more trial should land, and says nothing where too few seeds were run."""

import numpy as np
import pandas as pd
import pytest

from analysis.report.another_seed import another_seed
from analysis.statistics.intervals import prediction_interval
from analysis.statistics.prediction_intervals import another_seed_points
from tests.helpers.analysis_tables import results_of


def accuracies(by_seed: list[float], length: int = 10, arch: str = "GRU"):
    curves = {(arch, seed): {"greedy_token_accuracy": [value]} for seed, value in enumerate(by_seed)}
    return results_of(curves, lengths=np.array([length]))


def test_intervals_are_those_of_the_next_seed():
    (_, point), *others = another_seed_points(accuracies([0.50, 0.51, 0.52])).iterrows()
    assert not others and point["seeds"] == 3
    assert (point["low"], point["high"]) == pytest.approx(prediction_interval([0.50, 0.51, 0.52])[1:3])


def test_intervals_stay_inside_what_an_accuracy_can_be():
    points = another_seed_points(accuracies([0.0, 0.5, 1.0]))
    assert points[["low", "high"]].to_numpy().tolist() == [[0.0, 1.0]]


def test_the_section_has_a_row_an_architecture_and_a_column_a_length():
    rows = pd.concat([accuracies([0.50, 0.51, 0.52]), accuracies([0.2, 0.2, 0.2], length=20),
                      accuracies([0.9, 0.9, 0.9], length=20, arch="Transformer")])  # fmt: skip
    text = another_seed(rows)
    assert "| Architecture | Task | Length 10 | Length 20 | n (seeds) |" in text
    assert "| GRU | copy, vocabulary 32 | [0.460, 0.560] | 0.200 in all | 3 |" in text
    assert "| Transformer | copy, vocabulary 32 | - | 0.900 in all | 3 |" in text


def test_two_seeds_say_too_little_about_a_third():
    assert another_seed(accuracies([0.5, 0.6])) == ""
