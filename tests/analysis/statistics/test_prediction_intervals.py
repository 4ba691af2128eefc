"""The report says where one more trial should land, and says nothing where too few seeds were run."""

import numpy as np
import pandas as pd
import pytest

from analysis.report.blocks import titled
from analysis.report.render import markdown
from analysis.report.sections.lengths import another_seed
from analysis.statistics.summaries import next_seed
from analysis.tables.architectures import Architectures
from tests.helpers.analysis_tables import results_of


def accuracies(by_seed: list[float], length: int = 10, arch: str = "GRU"):
    curves = {(arch, seed): {"greedy_token_accuracy": [value]} for seed, value in enumerate(by_seed)}
    return results_of(curves, lengths=np.array([length]))


def test_intervals_worked_by_hand():
    # Mean 0.51, standard deviation 0.01, t of two degrees of freedom 4.302653, √(1 + 1/3) = 1.154701.
    (_, point), *others = next_seed(accuracies([0.50, 0.51, 0.52])).iterrows()
    assert not others and point["seeds"] == 3
    assert (point["low"], point["high"]) == pytest.approx((0.51 - 0.0496828, 0.51 + 0.0496828), abs=1e-7)


def test_the_next_seed_lands_inside_as_often_as_the_interval_says():
    random = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        *seeds, another = random.normal(0.5, 0.02, 4)
        (_, point), *_ = next_seed(accuracies(seeds)).iterrows()
        inside.append(point["low"] <= another <= point["high"])
    assert 0.92 < np.mean(inside) < 0.98


def test_intervals_stay_inside_what_an_accuracy_can_be():
    points = next_seed(accuracies([0.0, 0.5, 1.0]))
    assert points[["low", "high"]].to_numpy().tolist() == [[0.0, 1.0]]


def test_the_section_has_a_row_an_architecture_and_a_column_a_length():
    rows = pd.concat([accuracies([0.50, 0.51, 0.52]), accuracies([0.2, 0.2, 0.2], length=20),
                      accuracies([0.9, 0.9, 0.9], length=20, arch="Transformer")])  # fmt: skip
    text = markdown.document(titled(another_seed(rows, Architectures())))
    assert "| Architecture | Task | Length 10 | Length 20 | n (seeds) |" in text
    assert "| GRU | copy, vocabulary 32 | [0.460, 0.560] | 0.200 in all | 3 |" in text
    assert "| Transformer | copy, vocabulary 32 | - | 0.900 in all | 3 |" in text


def test_two_seeds_say_too_little_about_a_third():
    assert not list(titled(another_seed(accuracies([0.5, 0.6]), Architectures())))
