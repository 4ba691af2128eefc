"""What is said between the two words of a sentence that have to meet: when it was, and what others did meanwhile.

    yesterday while the children sang and the old farmers waited outside and we danced

All who do something here are many. Nothing here is of one gender, so that no `it` and no `she` can mean it.
"""

from data.language.sentences import Draw

MOMENTS = {
    "yesterday": "gestern", "today": "heute", "again": "wieder", "this morning": "heute Morgen",
    "last night": "letzte Nacht", "last week": "letzte Woche",
}  # fmt: skip
OPENINGS = {"while": "während", "although": "obwohl"}
CONNECTIVES = {**OPENINGS, "and": "und"}
PEOPLE = {
    "children": "Kinder", "neighbours": "Nachbarn", "farmers": "Bauern", "guests": "Gäste", "soldiers": "Soldaten",
    "pupils": "Schüler", "tourists": "Touristen", "musicians": "Musiker",
}  # fmt: skip
QUALITIES = {"friendly": "freundlichen", "poor": "armen", "cheerful": "fröhlichen", "foreign": "fremden"}
DEEDS = {
    "sang": "sangen", "laughed": "lachten", "waited": "warteten", "slept": "schliefen", "worked": "arbeiteten",
    "danced": "tanzten", "argued": "stritten", "played": "spielten",
}  # fmt: skip
WHERE = {"outside": "draußen", "there": "dort", "together": "zusammen"}

WHO = {"the": "die", "we": "wir", **QUALITIES, **PEOPLE}
ENGLISH = (*MOMENTS, *CONNECTIVES, *WHO, *DEEDS, *WHERE)
GERMAN = (*MOMENTS.values(), *CONNECTIVES.values(), *WHO.values(), *DEEDS.values(), *WHERE.values())

CLAUSES = (3, 4, 5, 6)  # words of a clause with its connective: `and we sang`, `and the children sang`, …


def write(draw: Draw, count: int) -> list[str]:
    """So many words in English, none or more."""
    of_moment = [size for size in (0, 1, 2) if count - size == 0 or count - size >= min(CLAUSES)]
    size = draw.one(of_moment)
    moment = draw.one([moment for moment in MOMENTS if len(moment.split()) == size]).split() if size else []
    clauses = [_clause(draw, size) for size in draw.parts(count - size, CLAUSES)]
    connectives = [draw.one(tuple(OPENINGS)), *["and"] * len(clauses)]
    return moment + [word for pair in zip(connectives, clauses, strict=False) for word in (pair[0], *pair[1])]


def _clause(draw: Draw, size: int) -> list[str]:
    """What somebody does, in `size` words with its connective."""
    if size == 3:
        return ["we", draw.one(tuple(DEEDS))]
    with_quality = size == 6 or (size == 5 and draw.below(2) == 0)
    quality = [draw.one(tuple(QUALITIES))] if with_quality else []
    where = [draw.one(tuple(WHERE))] if size == 4 + len(quality) + 1 else []
    return ["the", *quality, draw.one(tuple(PEOPLE)), draw.one(tuple(DEEDS)), *where]


def translate(words: list[str]) -> tuple[list[str], list[str]]:
    """Into German: the moment, which stands within the main clause, and the clauses, whose verbs come last."""
    begin = next((place for place, word in enumerate(words) if word in OPENINGS), len(words))
    moment = MOMENTS[" ".join(words[:begin])].split() if begin else []
    clauses, verb = [], []
    for word in words[begin:]:
        if word in CONNECTIVES:
            clauses += [*verb, CONNECTIVES[word]]
            verb = []
        elif word in DEEDS:
            verb = [DEEDS[word]]
        else:
            clauses.append(WHO[word] if word in WHO else WHERE[word])
    return moment, clauses + verb
