"""Figures of looks: lines as wide as the weights, every head in its panel, and beside them exactly what they show."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from analysis.figures.attention.looks import (
    Look,
    head_chart,
    heads_chart,
    lines_chart,
    most_decided,
    vectors_chart,
)
from analysis.figures.attention.word_lines import WIDEST

WORDS = ["it", "was", "tired."]
SHARP = np.array([[0.0, 0.0, 1.0], [0.2, 0.3, 0.5], [0.6, 0.4, 0.0]])
FLAT = np.full((3, 3), 1 / 3)
LOOK = Look("encoder", WORDS, WORDS, {(1, 1): SHARP, (1, 2): FLAT, (2, 1): FLAT, (2, 2): SHARP})


def widths(chart):
    lines = [one for one in chart.figure.axes[0].collections if isinstance(one, LineCollection)]
    return [width for line in lines for width in np.atleast_1d(line.get_linewidth())]


def bold(chart):
    return [text.get_text() for text in chart.figure.axes[0].texts if text.get_fontweight() == "bold"]


def test_the_lines_of_a_word_are_as_wide_as_its_weights():
    chart = lines_chart(LOOK, (2, 2), rows=[1], columns=[1])
    assert widths(chart) == pytest.approx([WIDEST * weight for weight in (0.2, 0.3, 0.5)])
    columns = ["layer", "head", "position", "word", "looks_at_position", "looks_at", "weight"]
    assert chart.points[columns].to_numpy().tolist() == [
        [2, 2, 2, "was", place + 1, WORDS[place], weight] for place, weight in enumerate((0.2, 0.3, 0.5))
    ]
    assert bold(chart) == ["was"]


def test_a_word_that_only_is_looked_at_has_the_lines_that_lead_to_it():
    chart = lines_chart(LOOK, (1, 1), rows=[], columns=[2])
    assert widths(chart) == pytest.approx([WIDEST * weight for weight in (0.5, 1.0)])  # that of 0 is not drawn
    assert chart.points["word"].tolist() == WORDS and set(chart.points["looks_at"]) == {"tired."}
    assert bold(chart) == ["tired."]


def test_without_a_word_all_lines_are_drawn():
    chart = lines_chart(LOOK, (1, 2), rows=[], columns=[])
    assert widths(chart) == pytest.approx([WIDEST / 3] * 9) and len(chart.points) == 9 and bold(chart) == []


def test_every_head_has_a_panel_and_one_is_drawn_large():
    chart = heads_chart(LOOK, "_2")
    drawn = [np.asarray(axes.collections[0].get_array()) for axes in chart.figure.axes]
    assert chart.name == "encoder_heads_2" and len(chart.points) == 4 * 9
    for panel, place in zip(drawn, sorted(LOOK.heads), strict=True):
        np.testing.assert_array_equal(panel.reshape(3, 3), LOOK.heads[place])
    large = head_chart(LOOK, (2, 2))
    assert large.name == "encoder_head" and large.points["weight"].tolist() == SHARP.ravel().tolist()
    assert large.figure.texts[0].get_text().replace("\n", " ") == "Self-attention of the encoder, layer 2 head 2"


def test_the_head_with_the_largest_weights_is_the_most_decided():
    assert most_decided(LOOK, 1, []) == 1 and most_decided(LOOK, 2, []) == 2
    other = LOOK._replace(heads={(1, 1): SHARP, (1, 2): SHARP[::-1]})
    assert most_decided(other, 1, [0]) == 1 and most_decided(other, 1, [2]) == 2  # of the chosen word alone


def test_vectors_are_compared_pair_by_pair():
    cosines = np.array([[1.0, -0.5], [-0.5, 1.0]])
    chart = vectors_chart(["bank", "bank."], [1, 3], cosines)
    assert chart.points.to_numpy().tolist() == [
        [1, "bank", 1, "bank", 1.0],
        [1, "bank", 3, "bank.", -0.5],
        [3, "bank.", 1, "bank", -0.5],
        [3, "bank.", 3, "bank.", 1.0],
    ]
    assert np.asarray(chart.figure.axes[0].collections[0].get_array()).min() == 0
