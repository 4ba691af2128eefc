"""Tagging: a noun has the number of the determiner before it, and nothing between them says it."""

from collections import Counter

import pytest

from tests.helpers.languages import drawn

DETERMINERS = {"this": "NN", "that": "NN", "these": "NNS", "those": "NNS"}
PAST = ["saw", "followed", "found", "heard", "liked", "painted", "described", "missed"]


def tags(source: list[str]) -> list[str]:
    """Worked out from the order: determiner, adverbs and adjectives, noun; verb; the same again."""
    found: list[str] = []
    for phrase in " ".join(source[:-1]).partition(next(word for word in source if word in PAST))[::2]:
        determiner, *between, _ = phrase.split()
        qualities = ["RB" if word in ("very", "quite", "rather") else "JJ" for word in between]
        found += ["DT", *qualities, DETERMINERS[determiner], "VBD"]
    return [*found[:-1], "."]


def test_every_word_has_its_tag() -> None:
    for source, target in drawn("tagging", 1, 40):
        assert target == tags(source)
        assert len(target) == len(source)


def test_the_distance_is_that_from_the_second_determiner_to_its_noun() -> None:
    for distance in (*range(1, 5), 40):
        for source, target in drawn("tagging", distance, distance, 20):
            places = [place for place, word in enumerate(source) if word in DETERMINERS]
            assert len(places) == 2
            assert len(source) - 2 - places[1] == distance
            assert target[-2] in ("NN", "NNS") and not {"NN", "NNS"} & set(target[places[1] : -2])


@pytest.mark.parametrize("known", [-2, 0, 1])  # the noun itself; the first determiner; the word behind it
def test_no_other_word_tells_the_number(known: int) -> None:
    counts: dict[str, Counter] = {}
    for source, target in drawn("tagging", 2, 20, count := 3000):
        counts.setdefault(source[known], Counter())[target[-2]] += 1
    assert sum(numbers.most_common(1)[0][1] for numbers in counts.values()) / count == pytest.approx(0.5, abs=0.06)
