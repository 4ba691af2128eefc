"""`lengthwise look`: what a trained model looks at in a sentence, drawn and on a page to click in."""

import argparse
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from analysis.figures.attention.looks import KINDS, Look, most_decided, vectors_chart
from analysis.figures.chart import Chart
from analysis.report.blocks import Table, literal, titled
from analysis.report.look_page import Shown, antecedents_table, vectors_table, write_antecedents, write_look_page
from analysis.report.render import terminal
from analysis.statistics.attention.antecedents import read_antecedents
from experiments.config.arguments import OneLineParser
from experiments.errors import UsageError
from experiments.evaluation.looking import Looked, Looker, cosines, known_antecedents
from experiments.probes.probe_folder import probe_folder
from experiments.trial.checkpoints import load_checkpoint

Given = TypeVar("Given")
Found = TypeVar("Found")

STRONGEST = 3  # words that the terminal names beside their weight


def main(arguments: list[str]) -> int:
    """Look, write look.html and figures/, and print what was found.

    Raises:
        UsageError: bad input, in one line.
    """
    options = _parser().parse_args(arguments)
    if not options.text and options.antecedents is None:
        raise UsageError('give a sentence, "in quotation marks", or a file with --antecedents')
    for number, text in enumerate(options.text, start=1):
        if not text.strip():
            raise UsageError(f"sentence {number} is empty")
    generated = options.antecedents == Path("test") and not options.antecedents.is_file()
    antecedents = read_antecedents(options.antecedents) if options.antecedents and not generated else []
    checkpoint = load_checkpoint(options.checkpoint)
    looker = Looker(checkpoint)
    if generated:
        antecedents = known_antecedents(checkpoint)
    looked = [_tried(looker.look, text, f"sentence {number}") for number, text in enumerate(options.text, start=1)]
    shown = [_shown(one, number, options) for number, one in enumerate(looked, start=1)]
    lines = [line for number, one in enumerate(shown, start=1) for line in _described(one, number)]
    charts, tables = _vectors(looked, options.word)
    scores = _tried(looker.follow, antecedents, str(options.antecedents)) if antecedents else {}
    if scores:
        tables.append(antecedents_table(scores, len(antecedents)))
    blocks = [block for table in tables for block in titled(table)]
    title = f"What a model looks at: {looker.model.display_name}"
    origin = f"{literal(str(options.checkpoint))}, trained on {checkpoint.task} for {checkpoint.step:,} steps."
    with probe_folder(options.output):
        if scores:
            write_antecedents(scores, options.output)
        write_look_page(options.output, title, origin, ["lengthwise", "look", *arguments], shown, blocks, charts)
    lines += [terminal.plain_text(tables)] if tables else []
    print("\n".join([*lines, f"page: {(options.output / 'look.html').as_posix()}"]))
    return 0


def _tried(look: Callable[[Given], Found], given: Given, where: str) -> Found:
    """What comes of a look; what the model refuses is said with where it stands."""
    try:
        return look(given)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


def _shown(one: Looked, number: int, options: argparse.Namespace) -> Shown:
    """A sentence with the attention, head and word that the options choose."""
    kinds = {look.kind: look for look in one.looks}
    kind = options.attention or next(iter(kinds))
    if kind not in kinds:
        raise UsageError(f"--attention: this model has no {KINDS[kind][0]}; choose {' or '.join(kinds)}")
    look = kinds[kind]
    rows, columns = ([] if options.word is None else _places(options.word, words)[:1] for words in look[1:3])
    if options.word is not None and not (rows or columns or _places(options.word, one.source)):
        raise UsageError(
            f"--word: '{options.word}' is no word or position of sentence {number}; what looks is {' '.join(look.rows)}"
        )
    layers = sorted({layer for layer, _ in look.heads})
    layer = layers[-1] if options.layer is None else options.layer
    _require("layer", layer, layers, look)
    heads = [head for at, head in look.heads if at == layer]
    head = most_decided(look, layer, rows) if options.head is None else options.head
    _require("head", head, heads, look)
    looks = [look, *(other for other in one.looks if other is not look)]
    return Shown(options.text[number - 1], " ".join(one.output), looks, (layer, head), rows, columns)


def _require(name: str, value: int, known: Sequence[int], look: Look) -> None:
    if value not in known:
        raise UsageError(f"--{name}: {value} does not exist; the {KINDS[look.kind][0]} has {name}s 1 to {len(known)}")


def _places(word: str, words: Sequence[str]) -> list[int]:
    """Where a word stands: at its position, counted from 1, or wherever its text is, if need be but for case and
    punctuation."""
    if word.isdecimal() and 1 <= int(word) <= len(words):
        return [int(word) - 1]
    exact = [place for place, one in enumerate(words) if one == word]
    return exact or [place for place, one in enumerate(words) if _bare(one) == _bare(word) != ""]


def _bare(word: str) -> str:
    return "".join(letter for letter in word.casefold() if unicodedata.category(letter)[0] != "P")


def _vectors(looked: Sequence[Looked], word: str | None) -> tuple[list[Chart], list[Table]]:
    """The vectors of a word wherever a source has it, compared; nothing where it stands in one place alone."""
    found = [(number, place) for number, one in enumerate(looked) for place in _places(word or "", one.source) if word]
    if len(looked) < 2 or len(found) < 2:
        return [], []
    similar = cosines(torch.stack([looked[number].vectors[place] for number, place in found]))
    words = [looked[number].source[place] for number, place in found]
    chart = vectors_chart(words, [number + 1 for number, _ in found], similar)
    return [chart], [vectors_table([(number + 1, place + 1) for number, place in found], similar)]


def _described(shown: Shown, number: int) -> list[str]:
    """What the terminal says of a sentence."""
    look = shown.looks[0]
    line = look.title(shown.place)
    for row in shown.rows:
        weights = look.heads[shown.place][row]
        strongest = weights.argsort()[::-1][:STRONGEST]
        line += f": {look.rows[row]} -> " + ", ".join(
            f"{look.columns[place]} {weights[place]:.2f}" for place in strongest
        )
    return [f"{number} {shown.text} -> {shown.output}", f"  {line}"]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise look",
        description="Draw what a trained model looks at in a sentence while it writes its own output: self-attention "
        "and attention to the source, of every layer and head, or, of models without self-attention, the gradient of "
        "each output at each word of the source. Writes look.html, a page to click in, and figures/. docs/looking.md "
        "says how to read them.",
        epilog="Examples: lengthwise look --checkpoint best.ckpt --word it 'The animal slept because it was tired.'; "
        "of a task on symbols: lengthwise look --checkpoint best.ckpt '3 1 4 1 5'",
    )
    add = parser.add_argument
    add("text", nargs="*", help="sentences, each in quotation marks; of symbols, numbers between spaces")
    add("--checkpoint", type=Path, required=True, metavar="FILE", help="a trained model")
    add("--word", metavar="WORD",
        help="the word whose lines are drawn: its text, or its position among what looks, from 1; of several "
        "sentences, also the word whose vectors are compared")  # fmt: skip
    add("--attention", choices=list(KINDS), help="what is drawn large (default: the first of these that there is)")
    add("--layer", type=int, metavar="N", help="layer that is drawn large, from 1 (default: the top one)")
    add("--head", type=int, metavar="N",
        help="head that is drawn large, from 1 (default: the one with the largest weights)")  # fmt: skip
    add("--antecedents", type=Path, metavar="FILE",
        help="measure whether a head follows the antecedent: a line a sentence, with the position of the word that "
        "looks, of the right word and maybe of a wrong one, separated by tabs; words count from 1. Of a model of the "
        "task coreference: test, for its test sentences")  # fmt: skip
    add("--output", type=Path, default=Path("runs/look"), metavar="DIR",
        help="folder to write to (default %(default)s)")  # fmt: skip
    return parser
