"""English to German, in which a word with two meanings has two translations.

Who saw it says which: people of trade and technology mean what is made, people of the open air what is alive or grows
or flows. `The banker saw the bank .` asks for `Der Bankier sah die Bank .`, and `The fisherman waited there and saw
the old bank .` for `Der Fischer wartete dort und sah das alte Ufer .` Each noun is equally often of either meaning,
and stands with every person: whom one must learn is sixteen people and twelve nouns, not their pairs.

The distance is that from the person to the noun.
"""

from data.language.sentences import Draw, Sentences, vocabulary

OF_TRADE = {
    "engineer": "Ingenieur", "mechanic": "Mechaniker", "banker": "Bankier", "merchant": "Kaufmann",
    "architect": "Architekt", "electrician": "Elektriker", "lawyer": "Anwalt", "welder": "Schweißer",
}  # fmt: skip
OF_NATURE = {
    "biologist": "Biologe", "hiker": "Wanderer", "fisherman": "Fischer", "diver": "Taucher", "hunter": "Jäger",
    "gardener": "Gärtner", "shepherd": "Schäfer", "forester": "Förster",
}  # fmt: skip
NOUNS = {  # made, and not
    "bank": ("die Bank", "das Ufer"),
    "bat": ("den Schläger", "die Fledermaus"),
    "crane": ("den Kran", "den Kranich"),
    "spring": ("die Feder", "die Quelle"),
    "seal": ("das Siegel", "die Robbe"),
    "trunk": ("den Koffer", "den Rüssel"),
    "plant": ("das Werk", "die Pflanze"),
    "bulb": ("die Glühbirne", "die Zwiebel"),
    "nut": ("die Schraubenmutter", "die Nuss"),
    "ram": ("den Rammbock", "den Widder"),
    "ray": ("den Strahl", "den Rochen"),
    "perch": ("die Stange", "den Barsch"),
}
ADJECTIVES = {"old": "alt", "big": "groß", "small": "klein", "new": "neu", "strange": "seltsam", "famous": "berühmt"}
ENDINGS = {"den": "en", "die": "e", "das": "e"}  # of an adjective behind the article
VERBS = {
    "saw": "sah", "found": "fand", "painted": "malte", "described": "beschrieb", "photographed": "fotografierte",
}  # fmt: skip
DEEDS = {
    "sang": "sang", "laughed": "lachte", "waited": "wartete", "cooked": "kochte", "worked": "arbeitete",
    "danced": "tanzte", "argued": "stritt", "played": "spielte",
}  # fmt: skip
WHEN_AND_WHERE = {
    "outside": "draußen", "there": "dort", "again": "wieder", "today": "heute", "yesterday": "gestern",
}  # fmt: skip
COMPANY = {
    "with the children": "mit den Kindern", "with the neighbours": "mit den Nachbarn",
    "with the guests": "mit den Gästen", "with the farmers": "mit den Bauern",
    "without the soldiers": "ohne die Soldaten", "without the tourists": "ohne die Touristen",
}  # fmt: skip

_PEOPLE = {**OF_TRADE, **OF_NATURE}
_WORDS = {**_PEOPLE, **DEEDS, **VERBS, **WHEN_AND_WHERE, "The": "Der", "and": "und", ".": "."}
LEAST = 3  # `banker saw the bank`
DEED_SIZES = (2, 3, 5, 6)  # `sang and`, `sang there and`, `sang with the guests and`, `sang there with the guests and`


def write(draw: Draw, distance: int) -> list[str]:
    """A sentence with so many words from the person to the noun."""
    person, noun = draw.one(tuple(draw.one((OF_TRADE, OF_NATURE)))), draw.one(tuple(NOUNS))
    free = distance - LEAST
    with_adjective = draw.one([size for size in (0, 1) if free - size == 0 or free - size >= min(DEED_SIZES)])
    adjective = [draw.one(tuple(ADJECTIVES))] if with_adjective else []
    deeds = [word for size in draw.parts(free - with_adjective, DEED_SIZES) for word in _deed(draw, size)]
    return ["The", person, *deeds, draw.one(tuple(VERBS)), "the", *adjective, noun, "."]


def _deed(draw: Draw, size: int) -> list[str]:
    """What the person did before, in so many words, `and` among them."""
    deed = [draw.one(tuple(DEEDS))]
    if size in (3, 6):
        deed.append(draw.one(tuple(WHEN_AND_WHERE)))
    if size >= 5:
        deed += draw.one(tuple(COMPANY)).split()
    return [*deed, "and"]


def translate(words: list[str]) -> list[str]:
    """A sentence in German, whose main clauses have the order of the English ones."""
    end = max(place for place, word in enumerate(words) if word == "the")
    german, place = [], 0
    while place < end:
        if words[place] in _WORDS:
            german.append(_WORDS[words[place]])
            place += 1
        else:
            german += COMPANY[" ".join(words[place : place + 3])].split()
            place += 3
    *adjective, noun, _ = words[end + 1 :]
    article, meant = NOUNS[noun][words[1] in OF_NATURE].split()
    return [*german, article, *(ADJECTIVES[word] + ENDINGS[article] for word in adjective), meant, "."]


SENTENCES = Sentences(
    write,
    translate,
    vocabulary(
        "the", *_WORDS, *NOUNS, *ADJECTIVES, *COMPANY, *_WORDS.values(),
        *(word for meanings in NOUNS.values() for word in meanings),
        *(stem + ending for stem in ADJECTIVES.values() for ending in ("en", "e")), *COMPANY.values(),
    ),
    least_distance=LEAST,
    around=3,
    answers=tuple(word.split()[1] for meanings in NOUNS.values() for word in meanings),
)  # fmt: skip
