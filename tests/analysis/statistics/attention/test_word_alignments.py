"""Links are read as written, scored as Och & Ney (2003) define it, and follow from attention over pieces."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from analysis.errors import ReportError
from analysis.statistics.attention.word_alignments import (
    GoldAlignment,
    alignment_error_rate,
    links_from_weights,
    project_to_words,
    read_gold,
    words_from_pieces,
    words_of_pieces,
)


def written(folder, text, name="links"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def links(*pairs):
    return frozenset(pairs)


def sure_links(path, offset=0):
    """The links of each line of a file that marks none as possible."""
    sentences = read_gold(path, offset)
    assert all(sentence.sure == sentence.possible for sentence in sentences)
    return [sentence.sure for sentence in sentences]


def test_links_are_one_set_a_line_and_an_empty_line_is_a_sentence(tmp_path):
    assert sure_links(written(tmp_path, "0-0 2-1\n\n1-0\n")) == [links((0, 0), (2, 1)), links(), links((1, 0))]


def test_the_last_line_counts_with_and_without_its_end(tmp_path):
    assert len(read_gold(written(tmp_path, "0-0\n1-1"))) == len(read_gold(written(tmp_path, "0-0\r\n1-1\r\n"))) == 2
    assert read_gold(written(tmp_path, "")) == []


@pytest.mark.parametrize("mark", ["p", "?"])
def test_possible_links_are_marked_and_sure_ones_are_possible_too(tmp_path, mark):
    (sentence,) = read_gold(written(tmp_path, f"1-1 2{mark}3\n"), offset=1)
    assert sentence == GoldAlignment(sure=links((0, 0)), possible=links((0, 0), (1, 2)))


@pytest.mark.parametrize("line", ["4-4 4p4", "4p4 4-4"])
def test_a_link_marked_both_ways_is_sure(tmp_path, line):
    assert read_gold(written(tmp_path, line)) == [GoldAlignment(links((4, 4)), links((4, 4)))]


def test_counting_from_one_is_undone(tmp_path):
    assert sure_links(written(tmp_path, "1-3\n"), offset=1) == [links((0, 2))]


@pytest.mark.parametrize(
    ("content", "offset", "problem"),
    [
        ("0-0\n1-x\n", 0, "line 2: '1-x' is no link"),
        ("0-0\n-1-2\n", 0, "line 2: '-1-2' is no link"),
        ("1-2-3\n", 0, "line 1: '1-2-3' is no link"),
        ("1-" + "9" * 5000, 0, "line 1: '1-999"),
        ("\u0663-\u0665\n", 0, "line 1: '\u0663-\u0665' is no link"),
        ("1-1\n0-1\n", 1, "line 2: '0-1' counts from 0"),
        (b"0-0\n1-\xff\n", 0, "line 2 is not UTF-8"),
    ],
)
def test_what_is_not_understood_is_an_error_that_names_file_and_line(tmp_path, content, offset, problem):
    path = written(tmp_path, content)
    with pytest.raises(ReportError) as caught:
        read_gold(path, offset)
    message = str(caught.value)
    assert str(path) in message and problem in message and "\n" not in message


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ReportError, match="nowhere cannot be read"):
        read_gold(tmp_path / "nowhere")


def test_error_rate_worked_by_hand():
    # A = 4 links, S = 3. Sure: (0,0) and (1,1) found, 2. Possible: those and (2,1), 3. AER = 1 - (2 + 3) / (4 + 3).
    gold = [
        GoldAlignment(links((0, 0), (2, 2)), links((0, 0), (2, 2), (2, 1))),
        GoldAlignment(links((1, 1)), links((1, 1))),
    ]
    score = alignment_error_rate([links((0, 0), (2, 1), (3, 3)), links((1, 1))], gold)
    assert score.error_rate == pytest.approx(2 / 7)
    assert score.precision == 3 / 4
    assert score.recall == pytest.approx(2 / 3)
    assert (score.links, score.sentences) == (4, 2)


def test_the_rate_sums_over_the_corpus_instead_of_averaging_sentences():
    gold = [GoldAlignment(links((0, 0)), links((0, 0)))] * 2
    # First sentence: AER 0 over 1 + 1 links. Second: 1 over 3 + 1. Their mean is 1/2, the corpus has 1 - 2/6.
    score = alignment_error_rate([links((0, 0)), links((5, 5), (6, 6), (7, 7))], gold)
    assert score.error_rate == pytest.approx(2 / 3)


def test_all_sure_links_and_any_possible_ones_have_no_error():
    gold = [GoldAlignment(links((0, 0)), links((0, 0), (1, 1), (2, 2)))]
    assert alignment_error_rate([links((0, 0), (2, 2))], gold)[:3] == (0, 1, 1)


def test_without_links_there_is_no_precision():
    score = alignment_error_rate([links()], [GoldAlignment(links((0, 0)), links((0, 0)))])
    assert math.isnan(score.precision)
    assert (score.error_rate, score.recall) == (1, 0)


def test_without_sure_links_there_is_no_recall():
    score = alignment_error_rate([links((0, 0))], [GoldAlignment(links(), links((0, 0)))])
    assert math.isnan(score.recall)
    assert (score.error_rate, score.precision) == (0, 1)


def test_nothing_to_score_is_an_error():
    with pytest.raises(ReportError, match="nothing to score"):
        alignment_error_rate([links()], [GoldAlignment(links(), links())])


def test_different_numbers_of_lines_are_an_error_that_names_the_line():
    with pytest.raises(ReportError, match=r"2 lines of links but 1 .* line 2"):
        alignment_error_rate([links((0, 0)), links((1, 1))], [GoldAlignment(links((0, 0)), links((0, 0)))])


def score(links_path: Path, gold_path: Path, gold_offset: int = 0):
    return alignment_error_rate(sure_links(links_path), read_gold(gold_path, gold_offset))


def test_each_file_counts_in_its_own_way(tmp_path):
    hypotheses, gold = written(tmp_path, "0-0\n", "links"), written(tmp_path, "1-1\n", "gold")
    assert score(hypotheses, gold, gold_offset=1).error_rate == 0
    assert score(hypotheses, gold).error_rate == 1


@pytest.fixture
def aligned_pairs():
    """The gold alignments that awesome-align (Dou & Neubig 2021) comes with, and its own output for them."""
    folder = Path(os.environ.get("LENGTHWISE_DATA", "")) / "gold-align-awesome"
    if "LENGTHWISE_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("LENGTHWISE_DATA names no folder with gold-align-awesome")
    return folder


@pytest.mark.parametrize(("pair", "percent"), [("enfr", 4.1), ("jaen", 37.4), ("roen", 20.7), ("zhen", 13.3)])
def test_the_error_rates_of_awesome_align_are_met(aligned_pairs, pair, percent):
    hypotheses, gold = aligned_pairs / f"{pair}.awesome-align.out", aligned_pairs / f"{pair}.gold"
    assert round(100 * score(hypotheses, gold, gold_offset=1).error_rate, 1) == percent


def test_the_rate_published_for_zhen_counts_possible_links_as_sure(aligned_pairs):
    # Dou & Neubig print 13.4; the definition of Och & Ney gives 13.3, as few of its links are only possible.
    gold = [
        GoldAlignment(sentence.possible, sentence.possible)
        for sentence in read_gold(aligned_pairs / "zhen.gold", offset=1)
    ]
    score = alignment_error_rate(sure_links(aligned_pairs / "zhen.awesome-align.out"), gold)
    assert round(100 * score.error_rate, 1) == 13.4


def test_forgetting_that_the_gold_counts_from_one_shows(aligned_pairs):
    assert (
        round(100 * score(aligned_pairs / "enfr.awesome-align.out", aligned_pairs / "enfr.gold").error_rate, 1) == 43.7
    )


@pytest.mark.parametrize(
    ("pieces", "indices", "words"),
    [
        (["▁un", "able", "▁to"], [0, 0, 1], ["unable", "to"]),
        (["▁caf", "<0xC3>", "<0xA9>", "▁x"], [0, 0, 0, 1], ["café", "x"]),
        (["▁a", "▁", "<0xE4>", "<0xB8>", "<0xAD>", "国"], [0, 1, 1, 1, 1, 1], ["a", "中国"]),
        (["▁", "▁a"], [0, 0], ["a"]),
        (["un", "▁a"], [0, 1], ["un", "a"]),
        (["▁a", "<unk>", "</s>"], [0, 0, 1], ["a<unk>", "</s>"]),
        (["<s>", "a", "</s>"], [0, 1, 2], ["<s>", "a", "</s>"]),
        (["▁a", "<0xC3>", "▁b"], [0, 0, 1], ["a�", "b"]),
        (["▁a", "▁"], [0, 1], ["a", "▁"]),
        ([], [], []),
    ],
)
def test_pieces_make_up_words(pieces, indices, words):
    assert words_of_pieces(pieces) == indices
    assert words_from_pieces(pieces) == words


def test_weights_are_summed_over_source_pieces_and_averaged_over_target_pieces():
    weights = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0]])
    projected = project_to_words(weights, source_words=[0, 0, 1], target_words=[0, 0, 1])
    np.testing.assert_allclose(projected, [[(0.8 + 0.2) / 2, (0.2 + 0.8) / 2], [1.0, 0.0]])


def test_projection_keeps_the_mass_of_each_row():
    weights = np.random.default_rng(0).dirichlet(np.ones(7), size=5)
    projected = project_to_words(weights, [0, 0, 1, 2, 2, 2, 3], [0, 1, 1, 1, 2])
    assert projected.shape == (3, 4)
    np.testing.assert_allclose(projected.sum(axis=1), 1)


def test_projection_refuses_weights_of_another_shape():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        project_to_words(np.ones((2, 3)), [0, 1], [0, 1, 2])


def test_each_target_word_is_linked_to_its_strongest_source_word():
    weights = np.array([[0.1, 0.9, 0.0], [0.6, 0.2, 0.2], [0.0, 0.0, 0.0]])
    assert links_from_weights(weights) == {(1, 0), (0, 1)}
