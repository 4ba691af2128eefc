"""`lengthwise translate`: text in, text out, from a checkpoint."""

import argparse
import math
import os
import select
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import IO, get_args

import torch
from tqdm import tqdm

from analysis.errors import ReportError
from analysis.figures.attention.pair import draw_attention, metadata_for
from analysis.files import require_writable
from analysis.statistics.attention.word_alignments import project_to_words, words_from_pieces, words_of_pieces
from data.datamodule import BleuTokenizer
from experiments.config.arguments import OneLineParser, require_device, require_threads
from experiments.errors import UsageError
from experiments.evaluation.samples import table_cell
from experiments.evaluation.text_metrics import NO_BLEU, signatures, text_metrics
from experiments.evaluation.text_units import Units, units_of
from experiments.evaluation.translator import Translation, Translator, translator_of
from experiments.files import decoded, open_input, open_output, text_lines
from experiments.trial.checkpoints import load_checkpoint
from experiments.trial.environment import set_arithmetic
from lit_models.decoding.decoder import MOST_HYPOTHESES, Decoding

CHUNK = 1024  # most lines sorted by length and translated together
BLOCK = 1 << 16  # most bytes read at a time


def main(arguments: list[str]) -> int:
    """Translate.

    Raises:
        UsageError: bad input, in one line.
    """
    options = _parser().parse_args(arguments)
    decoding = _decoding(options)
    with ExitStack() as stack:  # before a model is loaded, which takes a while
        texts = _input(options, decoding, stack)
        references = _references(options.reference)
        file = sys.stdout if options.output is None else open_output(options.output, "--output", stack)
        _check_picture(options.attention)
        translator, units = _translator(options, references or [])
        outputs: list[str] = []
        undrawn: list[tuple[int, str, Translation]] = []
        generator = decoding.generator(translator.model.device)
        bar = stack.enter_context(_bar(options))
        if _is_dialogue(options):
            print("one text a line; Ctrl-D ends", file=sys.stderr)
        for chunk in texts:
            results = _translate(translator, chunk, decoding, generator, options.n_best, bar.update)
            for text, result in zip(chunk, results, strict=True):
                outputs.append(result[0].text)
                file.write(_formatted(len(outputs), result, options))
                if options.attention and text.strip():
                    undrawn.append((len(outputs), text, result[0]))
                if len(outputs) > 1 or _is_dialogue(options):  # pictures have numbers, except one alone
                    _draw(translator, undrawn, options.attention, numbered=True)
            file.flush()
        _draw(translator, undrawn, options.attention, numbered=False)
        if references is not None and len(references) != len(outputs):
            lines = f"{len(references):,} lines for {len(outputs):,} of text"
            raise UsageError(f"--reference: {options.reference} has {lines}")
    if references:
        _print_scores(outputs, references, translator, units)
    return 0


def _translate(
    translator: Translator,
    texts: list[str],
    decoding: Decoding,
    generator: torch.Generator,
    n_best: int,
    done: Callable[[int], object],
) -> list[list[Translation]]:
    """Outputs of each text; an empty line has one, which is empty, so that output matches input line by line."""
    spoken = [text for text in texts if text.strip()]
    translated = iter(translator.translate(spoken, decoding, generator, n_best, done))
    return [next(translated) if text.strip() else [Translation("", [], 0.0)] for text in texts]


def _formatted(number: int, outputs: list[Translation], options: argparse.Namespace) -> str:
    if options.n_best == 1 and not options.scores:
        return outputs[0].text + "\n"
    return "".join(f"{number}\t{output.score:.4f}\t{table_cell(output.text)}\n" for output in outputs)


def _check_picture(path: Path | None) -> None:
    if path is not None:
        try:
            metadata_for(path)
            require_writable(path)
        except (ReportError, OSError) as error:
            raise UsageError(f"--attention: {error}") from None


def _draw(translator: Translator, undrawn: list[tuple[int, str, Translation]], path: Path, *, numbered: bool) -> None:
    """Draw the outputs that wait for it, by number, text and output, and take them off the list."""
    while undrawn:
        number, text, output = undrawn.pop(0)
        source, target, weights, _ = translator.attention(text, output.tokens)
        if weights is None:
            raise UsageError(f"--attention: {type(translator.model).__name__} has no attention to draw")
        words = project_to_words(weights.numpy(), words_of_pieces(source), words_of_pieces(target))
        one = path.with_stem(f"{path.stem}-{number}") if numbered else path
        try:
            draw_attention(one, words_from_pieces(source), words_from_pieces(target), words)
        except (ReportError, OSError) as error:
            raise UsageError(f"--attention: {error}") from None


def _print_scores(outputs: list[str], references: list[str], translator: Translator, units: Units) -> None:
    """Scores go where progress goes: standard output holds text alone."""
    described = signatures(translator.lowercase, translator.target.normalises, units)
    values = text_metrics(outputs, translator.target.comparable(references), translator.lowercase, units=units)
    for name, value in values.items():
        if not math.isnan(value):
            print(f"{name:18} {value:8.4f}  {described.get(name, '')}".rstrip(), file=sys.stderr)
    if math.isnan(values["bleu"]):
        print(NO_BLEU, file=sys.stderr)


def _decoding(options: argparse.Namespace) -> Decoding:
    chosen = {field.name: getattr(options, field.name) for field in fields(Decoding)}
    try:
        decoding = Decoding(**chosen)
    except ValueError as error:
        raise UsageError(f"--{str(error).removeprefix('decoding.')}") from None
    if not 1 <= options.n_best <= MOST_HYPOTHESES:
        raise UsageError(f"--n_best: {options.n_best} must lie between 1 and {MOST_HYPOTHESES}")
    if options.n_best > 1 and decoding.method == "greedy":
        raise UsageError("--n_best: greedy has one output; use --method beam or sample")
    return decoding


def _translator(options: argparse.Namespace, references: list[str]) -> tuple[Translator, Units]:
    """What translates, and in which units references are scored."""
    if options.threads is not None:
        require_threads(options.threads)
        torch.set_num_threads(options.threads)
    require_device(options.device)
    set_arithmetic()
    checkpoint = load_checkpoint(options.checkpoint)
    translator = translator_of(checkpoint)
    if translator is None:
        raise UsageError(
            f"--checkpoint: {options.checkpoint} was trained on {checkpoint.task}, which is no text; "
            "lengthwise predict shows its output"
        )
    translator.model.to(options.device)
    text, trained = checkpoint.text, checkpoint.config.get("data", {})
    if text is None:
        return translator, units_of(references)
    return translator, units_of(references, text.target_language, options.bleu_tokenize or trained.get("bleu_tokenize"))


def _references(path: Path | None) -> list[str] | None:
    return None if path is None else list(text_lines(path, "--reference"))


def _input(options: argparse.Namespace, decoding: Decoding, stack: ExitStack) -> Iterable[list[str]]:
    """The texts, in chunks that are translated together."""
    if options.text and options.input:
        raise UsageError("--input: text is given as an argument too; leave one of them out")
    if options.text:
        return (options.text[begin : begin + CHUNK] for begin in range(0, len(options.text), CHUNK))
    if options.input:
        return _arriving(stack.enter_context(open_input(options.input, "--input")), str(options.input), decoding)
    return _arriving(sys.stdin.buffer, "standard input", decoding)


def _is_dialogue(options: argparse.Namespace) -> bool:
    """Whether a person types the lines and waits for each answer."""
    return not options.text and not options.input and sys.stdin.isatty()


def _bar(options: argparse.Namespace) -> tqdm:
    """Progress for a person who watches and does not see the output itself."""
    watched = sys.stderr.isatty() and (options.output is not None or not sys.stdout.isatty())
    return tqdm(disable=not watched, unit="sentence", dynamic_ncols=True)


def _arriving(file: IO[bytes], name: str, decoding: Decoding) -> Iterator[list[str]]:
    """Lines as they come: as many as there are, at most CHUNK, without waiting for more once there is one.

    Samples depend on which lines are drawn together, and so must not depend on when they came: where the file may
    keep one waiting, each line is drawn alone.
    """
    waits = _may_wait(file)
    size = 1 if waits and decoding.method in ("sample", "mbr") else CHUNK
    lines: list[bytes] = []
    number, rest = 0, b""
    while True:
        block = file.read1(BLOCK)  # type: ignore[attr-defined]
        *whole, rest = (rest + block).split(b"\n")
        lines += whole if block else [rest] * bool(rest)
        while len(lines) >= size or (lines and (not block or (waits and not select.select([file], [], [], 0)[0]))):
            yield list(decoded(lines[:size], name, number))
            number += len(lines[:size])
            del lines[:size]
        if not block:
            return


def _may_wait(file: IO[bytes]) -> bool:
    """Whether a file is a pipe, a terminal or the like."""
    try:
        return not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except OSError:  # no file of the system at all
        return False


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise translate",
        description="Translate text with a checkpoint, which carries its tokenizer and options. Text comes from the "
        "command line, --input or standard input, one segment a line; output goes to standard output or --output. "
        "Lines that come one by one are answered one by one.",
        epilog="Example: echo 'A man rides.' | lengthwise translate --checkpoint runs/TRIAL/checkpoints/best.ckpt",
    )
    add = parser.add_argument
    add("text", nargs="*", help="text to translate")
    add("--checkpoint", type=Path, required=True, metavar="FILE", help="a checkpoint trained on text")
    add("--input", type=Path, metavar="FILE", help="file of text, one segment a line")
    add("--output", type=Path, metavar="FILE",
        help="file to write, whole or not at all; a pipe or device is written through")  # fmt: skip
    add("--reference", type=Path, metavar="FILE", help="print BLEU, chrF, TER and others against it")
    add("--bleu_tokenize", choices=get_args(BleuTokenizer),
        help="what BLEU counts (default: as in training, or by the language)")  # fmt: skip
    add("--attention", type=Path, metavar="FILE", help="draw where the model looked: .png, .pdf or .svg")
    add("--n_best", type=int, default=1, metavar="N",
        help=r"most outputs a text: number, score, text with \t for a tab and \\ for \ ")  # fmt: skip
    add("--scores", action="store_true", help="print number and score before each output")
    add("--threads", type=int, metavar="N", help="CPU threads")
    add("--device", default="cpu", help="cpu or cuda (default %(default)s)")
    group = parser.add_argument_group("decoding")
    defaults = Decoding()
    group.add_argument("--method", choices=("beam", "greedy", "sample", "mbr"), default=defaults.method,
                       help="beam search, greedy, one random sample, or minimum Bayes risk over samples "
                       "(default %(default)s)")  # fmt: skip
    for option, kind, text in (
        ("beam_size", int, "open hypotheses of a beam search"),
        ("length_penalty", float, "alpha of Wu et al. 2016; 0 ranks by log-probability alone"),
        ("temperature", float, "of sampling"),
        ("top_k", int, "sample from that many most probable tokens; 0 from all"),
        ("top_p", float, "sample from the fewest tokens that hold so much probability"),
        ("samples", int, "samples of mbr"),
        ("seed", int, "of sampling"),
    ):
        group.add_argument(
            f"--{option}", type=kind, default=getattr(defaults, option), help=f"{text} (default %(default)s)"
        )
    group.add_argument("--utility", choices=("chrf", "bleu"), default=defaults.utility, help="what mbr maximises")
    return parser
