"""Coreference: the German is recomputed with a grammar written here, and no noun alone tells the pronoun."""

import re
from collections import Counter

import pytest

from data.language.coreference import antecedent, translate
from tests.helpers.languages import drawn

NOUNS = """
der: dog Hund, donkey Esel, fox Fuchs, bear Bär, wolf Wolf, hedgehog Igel, rooster Hahn, badger Dachs, path Weg,
    square Platz, yard Hof, footbridge Steg, dam Damm, slope Hang
die: cat Katze, cow Kuh, goat Ziege, duck Ente, mouse Maus, goose Gans, snake Schlange, turtle Schildkröte,
    street Straße, bridge Brücke, alley Gasse, meadow Wiese, ramp Rampe, avenue Allee
das: animal Tier, horse Pferd, sheep Schaf, pig Schwein, camel Kamel, chicken Huhn, lamb Lamm, rabbit Kaninchen,
    field Feld, valley Tal, track Gleis, site Gelände, roof Dach, plateau Plateau
"""
GERMAN: dict[str, tuple[str, str]] = {
    english: (article, german)
    for article, nouns in re.findall(r"(\w+):([^:]*)(?=\n\w+:|$)", NOUNS)
    for english, german in (pair.split() for pair in nouns.split(","))
}
VERBS = {"cross": "überquerte", "enter": "betrat", "reach": "erreichte", "like": "mochte", "see": "sah"}
FEELINGS = {
    "tired": "müde", "hungry": "hungrig", "thirsty": "durstig", "sick": "krank", "lazy": "faul", "shy": "scheu",
    "weak": "schwach", "sleepy": "schläfrig",
}  # fmt: skip
SHAPES = {
    "wide": "breit", "narrow": "schmal", "steep": "steil", "slippery": "rutschig", "uneven": "uneben",
    "bumpy": "holprig", "remote": "abgelegen", "flat": "flach",
}  # fmt: skip
MOMENTS = {
    "": "", "yesterday": " gestern", "today": " heute", "again": " wieder", "this morning": " heute Morgen",
    "last night": " letzte Nacht", "last week": " letzte Woche",
}  # fmt: skip
DEEDS = """sang sangen, laughed lachten, waited warteten, slept schliefen, worked arbeiteten, danced tanzten,
    argued stritten, played spielten"""
OTHERS = """while während, although obwohl, and und, the die, we wir, friendly freundlichen, poor armen,
    cheerful fröhlichen, foreign fremden, children Kinder, neighbours Nachbarn, farmers Bauern, guests Gäste,
    soldiers Soldaten, pupils Schüler, tourists Touristen, musicians Musiker, outside draußen, there dort,
    together zusammen"""
DEED, OTHER = ({pair.split()[0]: pair.split()[1] for pair in pairs.split(",")} for pairs in (DEEDS, OTHERS))
SENTENCE = re.compile(
    r"The (?P<animal>\w+) did not (?P<verb>\w+) the (?P<place>\w+) (?P<moment>((?!while|although|because)\w+ )*)"
    r"(?P<clauses>((while|although) .+ )?)because it was too (?P<adjective>\w+) \."
)


def parts(source: list[str]) -> dict[str, str]:
    match = SENTENCE.fullmatch(" ".join(source))
    assert match, source
    return {name: part.strip() for name, part in match.groupdict().items()}


def meant(of: dict[str, str]) -> str:
    return of["animal"] if of["adjective"] in FEELINGS else of["place"]


def clause(words: str) -> str:
    """A German subordinate clause: what is done moves to its end."""
    [deed] = [DEED[word] for word in words.split() if word in DEED]
    return " ".join([*(OTHER[word] for word in words.split() if word not in DEED), deed])


def translated(source: list[str]) -> str:
    of = parts(source)
    (animal_article, animal), (place_article, place) = GERMAN[of["animal"]], GERMAN[of["place"]]
    pronoun = {"der": "er", "die": "sie", "das": "es"}[GERMAN[meant(of)][0]]
    clauses = "".join(f" {clause(words)}" for words in re.split(r" (?=and )", of["clauses"]) if words)
    return (
        f"{animal_article.title()} {animal} {VERBS[of['verb']]} {place_article.replace('der', 'den')} {place}"
        f"{MOMENTS[of['moment']]} nicht ,{clauses + ' ,' if clauses else ''} "
        f"weil {pronoun} zu {(FEELINGS | SHAPES)[of['adjective']]} war ."
    )


@pytest.mark.parametrize(("least", "most"), [(2, 4), (5, 40)])
def test_the_german_is_that_of_the_grammar(least: int, most: int) -> None:
    for source, target in drawn("coreference", least, most):
        assert " ".join(target) == translated(source)
        assert [word for word in target if word in ("er", "sie", "es")] == [target[-5]]


@pytest.mark.parametrize(("adjective", "german"), [("tired", "es zu müde"), ("wide", "sie zu breit")])
def test_the_example_of_the_course_reads_as_it_should(adjective: str, german: str) -> None:
    source = f"The animal did not cross the street because it was too {adjective} ."
    assert " ".join(translate(source.split())) == f"Das Tier überquerte die Straße nicht , weil {german} war ."


def test_the_distance_is_that_from_the_place_to_it() -> None:
    for distance in (*range(2, 8), 40):
        for source, _ in drawn("coreference", distance, distance, 20):
            assert source.index("it") - source.index(parts(source)["place"]) == distance


def test_genders_and_what_is_meant_are_balanced() -> None:
    cells = Counter()
    for source, _ in drawn("coreference", 2, 20, count := 3000):
        of = parts(source)
        cells[GERMAN[of["animal"]][0], GERMAN[of["place"]][0], meant(of) == of["animal"]] += 1
    assert len(cells) == 12
    assert not any(animal == place for animal, place, _ in cells)
    deviation = (count / 12 * 11 / 12) ** 0.5
    assert max(abs(number - count / 12) for number in cells.values()) < 4 * deviation


@pytest.mark.parametrize("noun", ["animal", "place"])
def test_one_noun_alone_tells_no_more_than_half_of_the_pronouns(noun: str) -> None:
    seen: dict[str, Counter] = {}
    for source, target in drawn("coreference", 2, 20, count := 3000):
        seen.setdefault(parts(source)[noun], Counter())[target[-5]] += 1
    best = sum(pronouns.most_common(1)[0][1] for pronouns in seen.values())
    assert best / count < 0.56
    assert sum(seen.values(), Counter()).most_common(1)[0][1] / count < 0.37


def test_the_antecedent_is_the_noun_that_the_adjective_fits() -> None:
    for source, _ in drawn("coreference", 2, 12):
        looking, right, wrong = antecedent(source)
        of = parts(source)
        assert source[looking] == "it" and source[right] == meant(of)
        assert {source[right], source[wrong]} == {of["animal"], of["place"]}
