"""Whether a head follows antecedents is counted by sentence, with an interval, against chance."""

import numpy as np
import pytest

from analysis.errors import ReportError
from analysis.statistics.attention.antecedents import Antecedent, followed, read_antecedents
from analysis.statistics.intervals import proportion_interval


def test_a_line_is_a_sentence_and_positions_from_1(tmp_path):
    (tmp_path / "pairs").write_text("the dog saw  it\t4\t2\r\nit is 3\t1\t3\t2\n")
    assert read_antecedents(tmp_path / "pairs") == [
        Antecedent("the dog saw  it", 3, 1),
        Antecedent("it is 3", 0, 2, 1),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("the dog", "has 1 columns; write a sentence, the position of the word that looks, that of the right word"),
        ("the dog\t1", "has 2 columns"),
        ("the dog\t1\t2\t1\t1", "has 5 columns"),
        ("the dog\t1\t3", "'3' is no position in a sentence of 2 words, counted from 1"),
        ("the dog\t0\t1", "'0' is no position"),
        ("the dog\tdog\tthe", "'dog' is no position"),
        ("the dog\t2\t2", "two of the positions are the same"),
    ],
)
def test_a_line_that_is_not_understood_is_named(line, message, tmp_path):
    (tmp_path / "pairs").write_text(f"the dog saw it\t4\t2\n{line}\n")
    with pytest.raises(ReportError, match="pairs: line 2") as raised:
        read_antecedents(tmp_path / "pairs")
    assert message in str(raised.value)


def test_an_empty_or_missing_file_is_named(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ReportError, match="empty is empty"):
        read_antecedents(tmp_path / "empty")
    with pytest.raises(ReportError, match="missing cannot be read"):
        read_antecedents(tmp_path / "missing")


def test_the_largest_weight_counts_and_the_right_word_before_the_wrong_one():
    antecedents = [Antecedent("a b c", 2, 0, 1), Antecedent("a b c", 2, 0, 1), Antecedent("a b c d", 3, 1)]
    weights = [np.array(row) for row in ([0.5, 0.3, 0.2], [0.3, 0.1, 0.6], [0.4, 0.3, 0.2, 0.1])]
    score = followed(weights, antecedents)
    assert score.share[0::3] == (1 / 3, 3)
    assert score.chance == pytest.approx((1 / 3 + 1 / 3 + 1 / 4) / 3)
    assert score.preferred and score.preferred[0::3] == (1.0, 2)
    assert followed(weights[2:], antecedents[2:]).preferred is None


def test_what_cannot_be_seen_is_never_found():
    score = followed([np.array([0.0, 1.0])], [Antecedent("a b c", 1, 2, 1)])  # the right word stands behind
    assert score.share.mean == 0 and score.preferred and score.preferred.mean == 0 and score.chance == 0.5


@pytest.mark.parametrize(("successes", "low", "high"), [(8, 0.4902, 0.9433), (0, 0.0, 0.2775), (10, 0.7225, 1.0)])
def test_the_interval_of_a_share_is_wilsons(successes, low, high):
    # Brown, Cai & DasGupta (2001), equation 4, with z = 1.959964
    interval = proportion_interval(successes, 10)
    assert interval.mean == successes / 10 and interval.count == 10
    assert interval[1:3] == pytest.approx((low, high), abs=5e-5)


def test_no_trial_has_no_share():
    with pytest.raises(ValueError, match="no trials"):
        proportion_interval(0, 0)
