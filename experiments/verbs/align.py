"""`lengthwise align`: the word alignments that a checkpoint's attention amounts to, and their error rate."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from analysis.statistics.attention.word_alignments import (
    GoldAlignment,
    alignment_error_rate,
    links_from_weights,
    project_to_words,
    read_gold,
    word_count,
)
from data.batch import EOS
from data.parallel_text import ParallelFiles, ParallelText, Problems, read_parallel
from experiments.config.arguments import OneLineParser
from experiments.errors import UsageError
from experiments.evaluation.translator import Translator
from experiments.files import open_output
from experiments.trial.checkpoints import load_checkpoint


def main(arguments: list[str]) -> int:
    """Align.

    Raises:
        UsageError: bad input, in one line.
    """
    options = _parser().parse_args(arguments)
    checkpoint = load_checkpoint(options.checkpoint)
    if checkpoint.text is None:
        raise UsageError(f"--checkpoint: {options.checkpoint} was trained on {checkpoint.task}, which is no text")
    translator = Translator(checkpoint.model, checkpoint.text.tokenizers, checkpoint.text.lowercase)
    text = _text(options.source, options.target)
    gold = None if options.gold is None else read_gold(options.gold, options.gold_offset)
    if gold is not None and len(gold) != len(text):
        raise UsageError(f"--gold: {options.gold} has {len(gold):,} lines for {len(text):,} pairs")
    if gold is not None:
        _refuse_outside(gold, text, options)
    with ExitStack() as stack:
        file = sys.stdout if options.output is None else open_output(options.output, "--output", stack)
        pairs = zip(text.source, text.target, strict=True)
        bar = tqdm(pairs, total=len(text), unit="sentence", disable=not sys.stderr.isatty())
        links = list(_links(translator, bar))
        if options.output is not None or gold is None:
            file.writelines(" ".join(f"{i}-{j}" for i, j in sorted(sentence)) + "\n" for sentence in links)
    if gold is not None:
        score = alignment_error_rate(links, gold)
        print(
            f"alignment error rate {score.error_rate:.4f}  precision {score.precision:.4f}  "
            f"recall {score.recall:.4f}  {score.links} links in {score.sentences} sentences"
        )
    return 0


def _text(source: Path, target: Path | None) -> ParallelText:
    """The pairs; what is wrong with them is said with the options of this command, not those of a trial."""
    for option, path in (("--source", source), ("--target", target)):
        if path is not None and not path.is_file():
            raise UsageError(f"{option}: {path} does not exist or is no file")
    if not any(path.stat().st_size for path in (source, target or source)):
        return ParallelText([], [], [], Problems())
    try:
        text = read_parallel(ParallelFiles(str(source), target and str(target)), "--source", bad_lines="drop")
    except ValueError as error:
        raise UsageError(str(error)) from None
    if text.problems.places:  # links are numbered by line: none may be left out
        raise UsageError(f"--source: bad lines: {text.problems}; mend them")
    return text


def _refuse_outside(gold: list[GoldAlignment], text: ParallelText, options: argparse.Namespace) -> None:
    """Refuse a gold link to a word that its sentence does not have: by a wrong offset, most links are merely missed."""
    for number, (sentence, *pair) in enumerate(zip(gold, text.source, text.target, strict=True), start=1):
        counts = [word_count(side) for side in pair]
        for i, j in sorted(sentence.possible):
            if i >= counts[0] or j >= counts[1]:
                first = options.gold_offset
                raise UsageError(
                    f"--gold: {options.gold}: line {number}: link {i + first}-{j + first} lies outside its sentence of "
                    f"{counts[0]} and {counts[1]} words, counted from {first}; mend it, or give another --gold_offset"
                )


def _links(translator: Translator, pairs) -> Iterator[frozenset[tuple[int, int]]]:
    """For each pair every target word with the source word it looks at most, under teacher forcing."""
    for source, target in pairs:
        [tokens] = translator.encode([target], translator.target)
        _, _, weights, _ = translator.attention(source, [*tokens, EOS])
        if weights is None:
            raise UsageError(f"--checkpoint: {type(translator.model).__name__} has no attention to align by")
        source_words, target_words = (
            translator.words(*side) for side in ((source, translator.source), (target, translator.target))
        )
        yield links_from_weights(project_to_words(weights[:-1].numpy(), source_words, target_words))


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise align",
        description="Align the words of parallel text by a model's attention: each target word with the source word "
        "it looks at most while the model is given the target. Prints links in Pharaoh format, or, with --gold, the "
        "alignment error rate (Och & Ney 2003).",
        epilog="Words are what stands between spaces. Example: lengthwise align --checkpoint best.ckpt --source a.en "
        "--target a.de --gold a.gold --gold_offset 1",
    )
    add = parser.add_argument
    add("--checkpoint", type=Path, required=True, metavar="FILE", help="a checkpoint trained on text")
    add("--source", type=Path, required=True, metavar="FILE", help="source text, or both, tab-separated")
    add("--target", type=Path, metavar="FILE", help="its translation, line by line")
    add("--gold", type=Path, metavar="FILE", help="gold links: 3-5 sure, 3p5 possible")
    add("--gold_offset", type=int, choices=(0, 1), default=0, help="index of the first word in it")
    add("--output", type=Path, metavar="FILE", help="file for the links")
    return parser
