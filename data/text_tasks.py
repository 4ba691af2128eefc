"""Built-in translation tasks: numbers and dates in two languages, in any amount and without a download.

Like the synthetic tasks, a text task is a pure function of its parameters, a seed, a split and a number of
examples. What is drawn (the digits of a number, the days of a line of dates) comes from Philox words by integer
arithmetic alone; num2words and Babel write it out, so the wording is that of their installed versions.

Train, validation and test never share an example: a hash of what was drawn decides the split, whatever the
languages and the way of writing.

Shapes: N examples, W places of the longest (digits, or dates).
"""

import copy
import datetime
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from num2words import CONVERTER_CLASSES

from data.symbol_tasks import uniform
from data.tasks import candidates_of_split

LONGEST_NUMBER = 30  # digits
LONGEST_LINE = 1000  # dates; of more the drawing of examples would take more memory than most machines have
# Digits up to which num2words gives every number words of its own, as measured; 30 is what the task allows.
_TO_THE_LIMIT = "cs da de en eo fi fr hu id is it ja ko lt lv nl no pl ru sk sl sr sv uk"
DIGITS = {language: LONGEST_NUMBER for language in _TO_THE_LIMIT.split()}
DIGITS |= {"ca": 27, "es": 27, "pt": 27, "ro": 12, "tr": 15}

FIRST_DAY = datetime.date(1900, 1, 1).toordinal()
DAYS = datetime.date(2100, 12, 31).toordinal() - FIRST_DAY + 1
STYLES = ("full", "long", "medium")
DATE_SEPARATOR = "; "  # a comma stands inside many dates already
ENOUGH = 100  # distinct examples a split should be able to hold, unless fewer are asked for


def _random_digits(words: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, W) digits of a uniform number of each length, most significant first, -1 behind the end."""
    digits = uniform(words, 10)
    # Only the number 0 begins with a 0.
    digits[:, 0] = np.where(lengths > 1, 1 + uniform(words[:, 0], 9), digits[:, 0])
    return np.where(np.arange(words.shape[1])[None, :] < lengths[:, None], digits, -1)


def _random_days(words: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, W) independent uniform days from 1900 to 2100, counted from the first, -1 behind the end."""
    return np.where(np.arange(words.shape[1])[None, :] < lengths[:, None], uniform(words, DAYS), -1)


def _write_number(digits: list[int], style: int, source_language: str, target_language: str) -> tuple[str, str]:
    """A number in words: 21 is `twenty-one` in English and `einundzwanzig` in German."""
    number = int("".join(map(str, digits)))
    return _converter(source_language).to_cardinal(number), _converter(target_language).to_cardinal(number)


@cache
def _converter(language: str) -> Any:
    """The converter of num2words, without the units above the longest number.

    Without them it is about ten times as fast: it looks for the greatest unit a number contains by going through
    all of them, up to 10^600, at every step.
    """
    converter = copy.copy(CONVERTER_CLASSES[language])
    units = getattr(converter, "cards", None)
    if units is not None:
        converter.cards = {unit: word for unit, word in units.items() if unit < 10**LONGEST_NUMBER}
    return converter


def _write_dates(days: list[int], style: int, source_language: str, target_language: str) -> tuple[str, str]:
    """A line of dates, all in one of CLDR's styles: `Mar 21, 1987; Jul 4, 2001` is `21.03.1987; 04.07.2001`.

    Where two styles write the source alike, the target follows the first of them: a source has one answer.
    """
    source = _line_of_dates(days, STYLES[style], source_language)
    first = next(name for name in STYLES if _line_of_dates(days, name, source_language) == source)
    return source, _line_of_dates(days, first, target_language)


def _line_of_dates(days: list[int], style: str, language: str) -> str:
    return DATE_SEPARATOR.join(_date(day, style, language) for day in days)


@lru_cache(maxsize=len(STYLES) * DAYS)
def _date(day: int, style: str, language: str) -> str:
    return format_date(datetime.date.fromordinal(FIRST_DAY + day), style, locale=_locale(language))


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


def _check_number_language(option: str, language: str) -> None:
    if language not in DIGITS:
        raise ValueError(
            f"{option}: '{language}' has no numbers in words here; the languages are {', '.join(sorted(DIGITS))}"
        )


def _check_date_language(option: str, language: str) -> None:
    try:
        _locale(language)
    except (UnknownLocaleError, ValueError, TypeError):
        raise ValueError(
            f"{option}: '{language}' is no language Babel can write dates in; "
            f"some that work are cs, de, en, en_GB, es, fr, it, ja, pl, pt_BR, ru, zh"
        ) from None


def _longest_number(source_language: str, target_language: str) -> tuple[int, str]:
    """The most digits both languages can write, and the language that sets the limit."""
    return min((DIGITS[source_language], source_language), (DIGITS[target_language], target_language))


@dataclass(frozen=True)
class TextTask:
    """How examples are drawn and written, which languages it knows and how many values one place has."""

    draw: Callable[[np.ndarray, np.ndarray], np.ndarray]
    write: Callable[[list[int], int, str, str], tuple[str, str]]
    check_language: Callable[[str, str], None]
    values: int
    unit: str


_TASKS = {
    "numbers": TextTask(_random_digits, _write_number, _check_number_language, 10, "digits"),
    "dates": TextTask(_random_days, _write_dates, _check_date_language, DAYS, "dates"),
}
TEXT_TASKS = tuple(_TASKS)


def check_text_parameters(
    task: str, source_language: str, target_language: str, min_length: int, max_length: int
) -> None:
    """Refuse what cannot be generated.

    Args:
        task: one of TEXT_TASKS.
        source_language: two-letter code; for dates any locale Babel knows, such as en_GB.
        target_language: likewise.
        min_length: least digits of a number, or dates of a line.
        max_length: most of them.

    Raises:
        ValueError: in one line that names the option and the way out.
    """
    if task not in _TASKS:
        near = difflib.get_close_matches(task, TEXT_TASKS, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(f"data.task: '{task}' is unknown; {hint}The text tasks are {', '.join(TEXT_TASKS)}")
    _TASKS[task].check_language("data.source_language", source_language)
    _TASKS[task].check_language("data.target_language", target_language)
    if max_length < 1:
        raise ValueError(f"data.length: {max_length} is too short; {task} needs at least 1")
    if not 1 <= min_length <= max_length:
        raise ValueError(f"data.min_length: {min_length} must lie between 1 and data.length, which is {max_length}")
    if task == "numbers":
        limit, language = _longest_number(source_language, target_language)
        if max_length > limit:
            raise ValueError(
                f"data.length: {max_length} digits are too many; numbers in '{language}' go up to {limit} digits"
            )
    elif max_length > LONGEST_LINE:
        raise ValueError(f"data.length: {max_length} dates are too many; a line has up to {LONGEST_LINE}")


def generate_text(
    task: str,
    source_language: str,
    target_language: str,
    min_length: int,
    max_length: int,
    count: int,
    seed: int,
    split: str,
) -> tuple[list[str], list[str]]:
    """Draw the first `count` examples of a split as text.

    Lengths are uniform over min_length … max_length: digits of a number, or dates of a line. More examples of the
    same split begin with the same ones; other languages say the same things.

        >>> generate_text("numbers", "en", "de", 4, 4, count=1, seed=0, split="train")
        (['seven thousand, one hundred and fifty-two'], ['siebentausendeinhundertzweiundfünfzig'])

    Args:
        task: one of TEXT_TASKS.
        source_language: two-letter code; for dates any locale Babel knows, such as en_GB.
        target_language: likewise.
        min_length: least digits or dates.
        max_length: most digits or dates.
        count: number of examples N.
        seed: what the examples are drawn from.
        split: train, validation or test.

    Returns:
        Source lines (N) and target lines (N).

    Raises:
        ValueError: parameters that make no task (see check_text_parameters), or a task so small that a split of
            its own cannot be filled.
    """
    check_text_parameters(task, source_language, target_language, min_length, max_length)
    too_few = ValueError(
        f"data.length: {task} of {min_length} to {max_length} {_TASKS[task].unit} have too few distinct examples "
        f"for three disjoint splits; raise data.length"
    )
    # The smallest split, an eighth of all examples, must not be next to empty.
    if _TASKS[task].values ** max_length // 8 < min(count, ENOUGH):
        raise too_few

    def draw(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lengths = min_length + uniform(words[:, 0], max_length - min_length + 1)
        return _TASKS[task].draw(words[:, 2 : 2 + max_length], lengths), uniform(words[:, 1], len(STYLES))

    lines = []
    for places, styles in candidates_of_split(draw, 2 + max_length, count, seed, split, too_few):
        for row, style in zip(places.tolist(), styles.tolist(), strict=True):
            if len(lines) == count:
                break
            values = [value for value in row if value >= 0]
            lines.append(_TASKS[task].write(values, style, source_language, target_language))
    return [source for source, _ in lines], [target for _, target in lines]
