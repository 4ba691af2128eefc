"""Text tasks: they say the same in both languages, splits never meet, and the text is the same everywhere."""

import hashlib
from contextlib import suppress
from datetime import date, datetime

import pytest
from num2words import num2words

from data.tasks import SPLITS
from data.text_tasks import DIGITS, TEXT_TASKS, check_text_parameters, generate_text

UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
VALUES = {word: value for value, word in enumerate(UNITS + TENS)}
VALUES |= {
    word: 10 * tens
    for tens, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def number_of(words: str) -> int:
    """Read an English number back."""
    total = group = 0
    for word in words.replace("-", " ").replace(",", "").split():
        if word == "hundred":
            group *= 100
        elif word in SCALES:
            total, group = total + group * SCALES[word], 0
        elif word != "and":
            group += VALUES[word]
    return total + group


def numbers(split: str = "train", count: int = 300, **changes: int) -> tuple[list[str], list[str]]:
    options = {"min_length": 1, "max_length": 9, "seed": 0} | changes
    return generate_text("numbers", "en", "de", count=count, split=split, **options)


@pytest.mark.parametrize(
    ("language", "by_hand"),
    [
        ("de", {"zero": "null", "twenty-one": "einundzwanzig"}),
        ("fr", {"seventy-one": "soixante et onze", "eighty": "quatre-vingts"}),
        ("cs", {"twenty-one": "dvacet jedna", "nine": "devět"}),
        ("es", {"sixteen": "dieciséis", "ninety-nine": "noventa y nueve"}),
    ],
)
def test_numbers_are_written_as_by_hand(language: str, by_hand: dict[str, str]) -> None:
    translations = {}
    for seed in range(100):
        sources, targets = generate_text("numbers", "en", language, 1, 2, count=12, seed=seed, split=SPLITS[seed % 3])
        translations |= dict(zip(sources, targets, strict=True))
    assert by_hand.items() <= translations.items()


def test_both_languages_say_the_same_number() -> None:
    sources, targets = numbers()
    assert targets == [num2words(number_of(source), lang="de") for source in sources]


def test_numbers_have_the_digits_asked_for_in_equal_shares() -> None:
    sources, _ = numbers(count=3000, min_length=4, max_length=9)
    digits = [len(str(number_of(source))) for source in sources]
    assert set(digits) == set(range(4, 10))
    assert all(abs(digits.count(length) - 500) < 90 for length in range(4, 10))  # over four standard deviations


def test_numbers_are_uniform_among_those_of_a_length() -> None:
    sources, _ = numbers(count=3000, min_length=5, max_length=5)
    first = [int(str(number_of(source))[0]) for source in sources]
    assert all(abs(first.count(digit) - 3000 / 9) < 75 for digit in range(1, 10))


@pytest.mark.parametrize("language", DIGITS)
def test_words_equal_those_of_num2words_at_every_length(language: str) -> None:
    options = {"count": 3, "seed": 0, "split": "train"}
    for digits in range(3, min(DIGITS[language], 15) + 1):
        sources, targets = generate_text("numbers", "en", language, digits, digits, **options)
        assert targets == [num2words(number_of(source), lang=language) for source in sources]


@pytest.mark.parametrize("language", DIGITS)
def test_the_longest_numbers_of_a_language_all_have_words_of_their_own(language: str) -> None:
    longest = DIGITS[language]
    words, _ = generate_text("numbers", language, language, longest, longest, count=50, seed=0, split="train")
    assert len(set(words)) == 50
    assert not any(character.isdigit() for line in words for character in line)


WEEKDAYS = ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"]
MONTHS = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]
ENGLISH = {"full": "%A, %B %d, %Y", "long": "%B %d, %Y", "medium": "%b %d, %Y"}


def day_of(english: str) -> tuple[str, date]:
    """The first style that reads a date, and the day it is."""
    for style, pattern in ENGLISH.items():
        with suppress(ValueError):
            return style, datetime.strptime(english, pattern).date()
    raise AssertionError(english)


def test_dates_are_written_in_three_styles_and_mean_the_same_day() -> None:
    sources, targets = generate_text("dates", "en", "de", 1, 1, count=600, seed=0, split="train")
    assert (sources[0], targets[0]) == ("Friday, May 26, 1922", "Freitag, 26. Mai 1922")
    styles, days = zip(*map(day_of, sources), strict=True)
    assert set(styles) == set(ENGLISH)
    assert date(1900, 1, 1) <= min(days) < date(1905, 1, 1) < date(2096, 1, 1) < max(days) <= date(2100, 12, 31)
    for target, style, day in zip(targets, styles, days, strict=True):
        in_words = f"{day.day}. {MONTHS[day.month - 1]} {day.year}"
        written = {"full": f"{WEEKDAYS[day.weekday()]}, {in_words}", "long": in_words, "medium": f"{day:%d.%m.%Y}"}
        assert target == written[style]


def test_a_line_holds_as_many_dates_as_asked_for() -> None:
    sources, targets = generate_text("dates", "en", "fr", 2, 4, count=600, seed=0, split="test")
    counts = [line.count("; ") + 1 for line in sources]
    assert set(counts) == {2, 3, 4}
    assert counts == [line.count("; ") + 1 for line in targets]


def test_a_source_has_one_answer_where_two_styles_look_alike() -> None:
    # French writes 21 mars 1987 in two styles, of which German makes 21. März 1987 and 21.03.1987.
    sources, targets = generate_text("dates", "fr", "de", 1, 1, count=3000, seed=0, split="train")
    march = [target for source, target in zip(sources, targets, strict=True) if " mars " in source]
    assert len(march) > 100
    assert all("März" in target for target in march)


@pytest.mark.parametrize("task", TEXT_TASKS)
def test_splits_never_share_an_example(task: str) -> None:
    lines = {split: set(zip(*generate_text(task, "en", "de", 1, 3, 2000, 0, split), strict=True)) for split in SPLITS}
    for one, other in [("train", "validation"), ("train", "test"), ("validation", "test")]:
        assert not {source for source, _ in lines[one]} & {source for source, _ in lines[other]}
        assert not {target for _, target in lines[one]} & {target for _, target in lines[other]}


@pytest.mark.parametrize("task", TEXT_TASKS)
def test_the_languages_do_not_change_what_is_said(task: str) -> None:
    sources, _ = generate_text(task, "en", "de", 1, 3, 200, 0, "train")
    assert generate_text(task, "en", "fr", 1, 3, 200, 0, "train")[0] == sources


@pytest.mark.parametrize(
    ("task", "longest", "split", "expected"),
    [
        ("numbers", 6, "train", "60b33040565a2611"),
        ("numbers", 6, "validation", "130186b0f2398b84"),
        ("numbers", 6, "test", "266910fee0df157b"),
        ("dates", 3, "train", "a69637dc4715ee7c"),
        ("dates", 3, "validation", "a4a7c69d124353e8"),
        ("dates", 3, "test", "4e59a4f46b577b64"),
    ],
)
def test_the_text_is_the_same_on_every_machine(task: str, longest: int, split: str, expected: str) -> None:
    sources, targets = generate_text(task, "en", "de", 1, longest, 200, 7, split)
    assert hashlib.sha256("\n".join(sources + targets).encode()).hexdigest()[:16] == expected


def test_another_seed_gives_other_text() -> None:
    assert numbers(seed=0) != numbers(seed=1)


def test_more_examples_begin_with_the_same_ones() -> None:
    assert numbers(count=5000)[0][:300] == numbers(count=300)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("number", "en", "de", 1, 3), "data.task: 'number' is unknown; did you mean 'numbers'"),
        (("numbers", "xx", "de", 1, 3), "data.source_language: 'xx' .* cs, da, de"),
        (("numbers", "en", "xx", 1, 3), "data.target_language: 'xx'"),
        (("dates", "xx", "de", 1, 3), "data.source_language: 'xx' .* cs, de, en"),
        (("dates", "en", "", 1, 3), "data.target_language: ''"),
        (("numbers", "en", "de", 1, 31), "data.length: 31 digits are too many; numbers in '..' go up to 30 digits"),
        (("numbers", "en", "ro", 1, 13), "data.length: 13 .* 'ro' go up to 12 digits"),
        (("numbers", "en", "de", 4, 3), "data.min_length: 4 must lie between 1 and data.length, which is 3"),
        (("dates", "en", "de", 0, 0), "data.length: 0 is too short"),
    ],
)
def test_what_cannot_be_generated_is_refused_by_name(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        check_text_parameters(*arguments)
    assert "\n" not in str(caught.value)


def test_a_task_too_small_for_three_splits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^data.length: numbers of 1 to 1 digits have too few distinct examples"):
        numbers(min_length=1, max_length=1)
