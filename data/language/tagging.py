"""Parts of speech in the tags of the Penn Treebank (Marcus et al. 1993), one for each word.

Nouns such as `sheep` are the same in the singular (NN) and the plural (NNS): the determiner says which, and nothing
between them does. `those deer saw this very old sheep .` asks for `DT NNS VBD DT RB JJ NN .` The other noun comes
before, with a determiner of its own, and is as often of the same number as not.

The distance is that from the determiner of the second noun to this noun, whose tag is the one that is scored.
"""

from data.language.sentences import Draw, Sentences, vocabulary

SINGULAR, PLURAL = ("this", "that"), ("these", "those")
NOUNS = (
    "sheep", "deer", "fish", "moose", "salmon", "trout", "bison", "shrimp", "squid", "aircraft", "spacecraft",
    "offspring",
)  # fmt: skip
ADJECTIVES = (
    "old", "young", "small", "big", "grey", "quiet", "strange", "slow", "heavy", "rare", "clean", "famous",
)  # fmt: skip
ADVERBS = ("very", "quite", "rather")
VERBS = ("saw", "followed", "found", "heard", "liked", "painted", "described", "missed")
TAGS = {
    **dict.fromkeys(SINGULAR + PLURAL, "DT"), **dict.fromkeys(ADJECTIVES, "JJ"), **dict.fromkeys(ADVERBS, "RB"),
    **dict.fromkeys(VERBS, "VBD"), ".": ".",
}  # fmt: skip
LONGEST_FIRST = 3  # distance from the first determiner to its noun


def write(draw: Draw, distance: int) -> list[str]:
    """A sentence with so many words from the second determiner to its noun."""
    first = _noun_phrase(draw, 1 + draw.below(LONGEST_FIRST))
    return [*first, draw.one(VERBS), *_noun_phrase(draw, distance), "."]


def _noun_phrase(draw: Draw, distance: int) -> list[str]:
    words = [draw.one(SINGULAR + PLURAL)]
    for size in draw.parts(distance - 1, (1, 2)):
        adjective = draw.one([word for word in ADJECTIVES if word != words[-1]])
        words += [draw.one(ADVERBS), adjective] if size == 2 else [adjective]
    return [*words, draw.one(NOUNS)]


def tags(words: list[str]) -> list[str]:
    """The tag of each word."""
    found, number = [], ""
    for word in words:
        if word in SINGULAR + PLURAL:
            number = "NN" if word in SINGULAR else "NNS"
        found.append(number if word in NOUNS else TAGS[word])
    return found


SENTENCES = Sentences(
    write,
    tags,
    vocabulary("NN NNS DT JJ RB VBD", *TAGS, *NOUNS),
    least_distance=1,
    around=LONGEST_FIRST + 4,
    answers=("NN", "NNS"),
)
