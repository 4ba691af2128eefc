"""Whether somebody feels well in the end, where only the place of `not` decides.

`She did not win but she was satisfied .` asks for `positive`, and `She did win but she was not satisfied .` for
`negative`. Both have the same words: of any bag of words one order is positive and one negative, and nobody who does
not see the order can do better than guess. There are adjectives of both kinds, so that the mere end does not decide
either: `She did not win but she was sad .` asks for `negative`.

The distance is that from `did`, behind which `not` stands in one of the orders, to the adjective, before which it
stands in the other.
"""

from data.language import asides
from data.language.sentences import Draw, Sentences, vocabulary

WOMEN = ("She", "Anna", "Clara", "Emma", "Julia", "Laura", "Maria", "Nora", "Sarah")
MEN = ("He", "Adam", "Ben", "David", "Felix", "Jonas", "Lukas", "Martin", "Paul")
PRONOUN = {**dict.fromkeys(WOMEN, "she"), **dict.fromkeys(MEN, "he")}
VERBS = (
    "win", "arrive", "call", "answer", "travel", "rest", "pay", "vote", "leave", "return", "apply", "sign",
)  # fmt: skip
GOOD = ("satisfied", "happy", "calm", "proud", "grateful", "merry", "relieved", "confident")
BAD = ("sad", "angry", "afraid", "lonely", "bored", "nervous", "desperate", "jealous")
LEAST = 6  # `did not win but she was satisfied`


def write(draw: Draw, distance: int) -> list[str]:
    """A sentence with so many words from `did` to the adjective."""
    person, verb, adjective = draw.one(tuple(PRONOUN)), draw.one(VERBS), draw.one(GOOD + BAD)
    first, last = draw.one(((["not"], []), ([], ["not"])))
    between = asides.write(draw, distance - LEAST)
    return [person, "did", *first, verb, *between, "but", PRONOUN[person], "was", *last, adjective, "."]


def feeling(words: list[str]) -> list[str]:
    """`positive` or `negative`, in one word."""
    *_, before, adjective, _ = words
    return ["positive" if (adjective in GOOD) != (before == "not") else "negative"]


SENTENCES = Sentences(
    write,
    feeling,
    vocabulary("positive negative . did not but was she he", *PRONOUN, *VERBS, *GOOD, *BAD, *asides.ENGLISH),
    least_distance=LEAST,
    around=3,
)
