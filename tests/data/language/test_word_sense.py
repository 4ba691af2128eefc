"""Word sense: who sees it decides what a noun means, and all else has one translation."""

from collections import Counter

import pytest

from tests.helpers.languages import drawn

TRADE = ["engineer", "mechanic", "banker", "merchant", "architect", "electrician", "lawyer", "welder"]
SENSES = {
    "bank": ("die Bank", "das Ufer"), "bat": ("den Schläger", "die Fledermaus"), "crane": ("den Kran", "den Kranich"),
    "spring": ("die Feder", "die Quelle"), "seal": ("das Siegel", "die Robbe"), "trunk": ("den Koffer", "den Rüssel"),
    "plant": ("das Werk", "die Pflanze"), "bulb": ("die Glühbirne", "die Zwiebel"),
    "nut": ("die Schraubenmutter", "die Nuss"), "ram": ("den Rammbock", "den Widder"),
    "ray": ("den Strahl", "den Rochen"), "perch": ("die Stange", "den Barsch"),
}  # fmt: skip
STEMS = {"old": "alt", "big": "groß", "small": "klein", "new": "neu", "strange": "seltsam", "famous": "berühmt"}


def seen(source: list[str]) -> list[str]:
    """What the sentence says is seen, in German."""
    article, noun = SENSES[source[-2]][source[1] not in TRADE].split()
    stem = STEMS.get(source[-3])
    return [article, *([stem + ("en" if article == "den" else "e")] if stem else []), noun, "."]


def test_what_is_seen_is_that_of_the_person_who_sees_it() -> None:
    for source, target in drawn("word-sense", 3, 40):
        expected = seen(source)
        assert target[-len(expected) :] == expected
        assert len(target) == len(source)


def test_every_other_word_has_one_translation_in_its_place() -> None:
    translations: dict[str, set[str]] = {}
    for source, target in drawn("word-sense", 3, 40):
        for word, german in zip(source, target[: -len(seen(source))], strict=False):
            translations.setdefault(word, set()).add(german)
    assert translations.pop("the") == {"den", "die"}  # mit den Kindern, ohne die Soldaten
    assert {word: next(iter(german)) for word, german in translations.items() if len(german) > 1} == {}
    assert translations["fisherman"] == {"Fischer"} and translations["waited"] == {"wartete"}


def test_the_distance_is_that_from_the_person_to_the_noun() -> None:
    for distance in (*range(3, 9), 40):
        for source, target in drawn("word-sense", distance, distance, 20):
            assert len(source) - 2 - 1 == distance
            assert source[-2] in SENSES
            senses = [
                word for word in target if any(word == sense.split()[1] for both in SENSES.values() for sense in both)
            ]
            assert senses == [target[-2]]


def test_a_noun_alone_tells_no_more_than_half() -> None:
    counts: dict[str, Counter] = {}
    for source, target in drawn("word-sense", 3, 20, count := 3000):
        counts.setdefault(source[-2], Counter())[target[-2]] += 1
    assert set(counts) == set(SENSES)
    assert sum(senses.most_common(1)[0][1] for senses in counts.values()) / count == pytest.approx(0.5, abs=0.06)
