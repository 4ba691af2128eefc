"""English to German, in which `it` must become er, sie or es.

`it` can mean the animal or the place. The adjective says which, and the German noun has the gender: `The animal did
not cross the street because it was too tired .` asks for `Das Tier überquerte die Straße nicht , weil es zu müde war
.`, and `The animal did not cross the street because it was too wide .` for `Das Tier überquerte die Straße nicht ,
weil sie zu breit war .`

The distance is that from the place, the second of the nouns, to `it`; the animal stands five words before the place.
The two nouns are never of one gender. Each of them is meant equally often, and each pair of genders is equally often
there: who knows one noun alone is right half the time, who knows none a third of the time.
"""

from data.language import asides
from data.language.sentences import Draw, Sentences, vocabulary

GENDERS = {"m": ("Der", "den", "er"), "f": ("Die", "die", "sie"), "n": ("Das", "das", "es")}  # he who, whom, and it
ANIMALS = {
    "m": {
        "dog": "Hund", "donkey": "Esel", "fox": "Fuchs", "bear": "Bär", "wolf": "Wolf", "hedgehog": "Igel",
        "rooster": "Hahn", "badger": "Dachs",
    },
    "f": {
        "cat": "Katze", "cow": "Kuh", "goat": "Ziege", "duck": "Ente", "mouse": "Maus", "goose": "Gans",
        "snake": "Schlange", "turtle": "Schildkröte",
    },
    "n": {
        "animal": "Tier", "horse": "Pferd", "sheep": "Schaf", "pig": "Schwein", "camel": "Kamel", "chicken": "Huhn",
        "lamb": "Lamm", "rabbit": "Kaninchen",
    },
}  # fmt: skip
PLACES = {
    "m": {"path": "Weg", "square": "Platz", "yard": "Hof", "footbridge": "Steg", "dam": "Damm", "slope": "Hang"},
    "f": {"street": "Straße", "bridge": "Brücke", "alley": "Gasse", "meadow": "Wiese", "ramp": "Rampe",
          "avenue": "Allee"},
    "n": {"field": "Feld", "valley": "Tal", "track": "Gleis", "site": "Gelände", "roof": "Dach", "plateau": "Plateau"},
}  # fmt: skip
VERBS = {"cross": "überquerte", "enter": "betrat", "reach": "erreichte", "like": "mochte", "see": "sah"}
OF_ANIMALS = {
    "tired": "müde", "hungry": "hungrig", "thirsty": "durstig", "sick": "krank", "lazy": "faul", "shy": "scheu",
    "weak": "schwach", "sleepy": "schläfrig",
}  # fmt: skip
OF_PLACES = {
    "wide": "breit", "narrow": "schmal", "steep": "steil", "slippery": "rutschig", "uneven": "uneben",
    "bumpy": "holprig", "remote": "abgelegen", "flat": "flach",
}  # fmt: skip

_ADJECTIVES = {**OF_ANIMALS, **OF_PLACES}
_GENDER = {noun: gender for nouns in (ANIMALS, PLACES) for gender in nouns for noun in nouns[gender]}
_NOUNS = {noun: word for nouns in (ANIMALS, PLACES) for of_gender in nouns.values() for noun, word in of_gender.items()}
BEFORE_PLACE = 6  # `The dog did not cross the`
BEFORE_PRONOUN = 2  # from the place to `it` with nothing in between: `because it`


def write(draw: Draw, distance: int) -> list[str]:
    """A sentence with so many words from the place to `it`."""
    of_animal, of_place = draw.one([(one, other) for one in GENDERS for other in GENDERS if one != other])
    animal, place = draw.one(tuple(ANIMALS[of_animal])), draw.one(tuple(PLACES[of_place]))
    verb = draw.one(tuple(VERBS))
    adjective = draw.one(tuple(draw.one((OF_ANIMALS, OF_PLACES))))
    between = asides.write(draw, distance - BEFORE_PRONOUN)
    begin = ["The", animal, "did", "not", verb, "the", place]
    return [*begin, *between, "because", "it", "was", "too", adjective, "."]


def translate(words: list[str]) -> list[str]:
    """A sentence in German."""
    _, animal, _, _, verb, _, place, *rest = words
    adjective = words[-2]
    moment, clauses = asides.translate(rest[: rest.index("because")])
    nominative, _, _ = GENDERS[_GENDER[animal]]
    _, accusative, _ = GENDERS[_GENDER[place]]
    _, _, pronoun = GENDERS[_GENDER[animal if adjective in OF_ANIMALS else place]]
    begin = [nominative, _NOUNS[animal], VERBS[verb], accusative, _NOUNS[place], *moment, "nicht", ","]
    between = [*clauses, ","] if clauses else []
    return [*begin, *between, "weil", pronoun, "zu", _ADJECTIVES[adjective], "war", "."]


def antecedent(words: list[str]) -> tuple[int, int, int]:
    """Where a sentence has `it`, the noun that it means and the other noun, counted from 0."""
    animal, place = 1, BEFORE_PLACE
    right, wrong = (animal, place) if words[-2] in OF_ANIMALS else (place, animal)
    return words.index("it"), right, wrong


SENTENCES = Sentences(
    write,
    translate,
    vocabulary(
        ". The did not the because it was too", *_NOUNS, *VERBS, *_ADJECTIVES, *asides.ENGLISH,
        ", nicht weil zu war", *(word for forms in GENDERS.values() for word in forms), *_NOUNS.values(),
        *VERBS.values(), *_ADJECTIVES.values(), *asides.GERMAN,
    ),
    least_distance=BEFORE_PRONOUN,
    around=12,
    answers=tuple(pronoun for _, _, pronoun in GENDERS.values()),
)  # fmt: skip
