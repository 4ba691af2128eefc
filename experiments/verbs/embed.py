"""`lengthwise embed`: word vectors of plain text, and which words are nearest to a word."""

import argparse
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from sentencepiece import SentencePieceProcessor
from tqdm import tqdm

from data.language.word_tokenizer import BEGIN, Labels, split_words
from data.tokenizer import Tokenizer
from experiments.config.arguments import OneLineParser, require_at_least
from experiments.embedding.glove import X_MAX, cooccurrences, train_glove
from experiments.embedding.vector_file import WordVectors, read_vectors, write_vectors
from experiments.embedding.word2vec import require_gensim, train_word2vec
from experiments.errors import UsageError
from experiments.files import open_output, text_lines
from experiments.trial.checkpoints import load_checkpoint

METHODS = ("glove", "cbow", "skip-gram")
SHOWN, NEAREST = 8, 5  # words whose neighbours the end shows, and neighbours of each
LONG = 4  # letters of a word that is likely to mean something


def main(arguments: list[str]) -> int:
    """Train vectors and write them, or read some; print the nearest neighbours of words.

    Raises:
        UsageError: bad input, in one line.
    """
    options = _parser().parse_args(arguments)
    if options.neighbours is not None:
        vectors = read_vectors(options.neighbours, "--neighbours")
        words = options.text
    else:
        vectors, words = _trained(options), []
    for word in words:
        if word not in vectors.words:
            near = "".join(f"; did you mean {one}?" for one in get_close_matches(word, vectors.words, n=1))
            raise UsageError(f"--neighbours: {options.neighbours} has no word '{word}'{near}")
    words = words or _telling(vectors.words)
    for word, nearest in zip(words, vectors.neighbours(words, NEAREST), strict=True):
        print(f"{word}: {', '.join(f'{other} {cosine:.2f}' for other, cosine in nearest)}")
    return 0


def _trained(options: argparse.Namespace) -> WordVectors:
    """Vectors of the given text, written to their file."""
    for name in ("size", "window", "min_count", "epochs"):
        require_at_least(name, getattr(options, name), 1)
    if not options.x_max > 0:
        raise UsageError(f"--x_max: {options.x_max} must be above 0")
    if not 0 <= options.seed < 2**32:
        raise UsageError(f"--seed: {options.seed} must lie between 0 and {2**32 - 1}")
    files = [Path(name) for name in options.text]
    if not files:
        raise UsageError("name files of text, one sentence a line, or vectors to look at with --neighbours")
    if any(options.output.exists() and path.exists() and options.output.samefile(path) for path in files):
        raise UsageError(f"--output: {options.output} is the text itself; name another file")
    if options.method != "glove":
        require_gensim(options.method)
    with ExitStack() as stack:  # before the work, which takes a while
        split = _splitter(options.tokenizer)
        lines = (line for path in files for line in text_lines(path, "FILE"))
        sentences = [split(line.lower() if options.lowercase else line) for line in lines]
        counts = Counter(word for sentence in sentences for word in sentence)
        words = [word for word, count in counts.most_common() if count >= options.min_count]
        if len(words) < 2:
            named, most = ", ".join(map(str, files)), max(counts.values(), default=0)
            raise UsageError(
                f"--min_count: {named} has {len(counts):,} words, the most frequent {most:,} times; fewer than two "
                f"stand there {options.min_count:,} times"
            )
        file = open_output(options.output, "--output", stack)
        begun = time.monotonic()
        vectors = WordVectors(words, _vectors(sentences, words, options))
        write_vectors(file, vectors)
    print(
        f"{options.output}: {len(words):,} of {len(counts):,} words, {options.size} numbers each, by {options.method} "
        f"in {time.monotonic() - begun:,.0f} s"
    )
    return vectors


def _splitter(tokenizer: Path | None) -> Callable[[str], Sequence[str]]:
    """What makes words of a sentence, or pieces where a tokenizer is given."""
    if tokenizer is None:
        return split_words
    if not tokenizer.is_file():
        raise UsageError(f"--tokenizer: {tokenizer} does not exist or is no file")
    with contextlib.suppress(RuntimeError):  # of other bytes
        processor = SentencePieceProcessor(model_proto=tokenizer.read_bytes())
        return lambda text: processor.encode(text, out_type=str)
    carried = _joint_tokenizer(tokenizer)
    return lambda text: carried.pieces(carried.encode([text])[0])


def _joint_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of all text that a checkpoint was trained on."""
    try:
        text = load_checkpoint(path).text
    except UsageError:
        raise UsageError(f"--tokenizer: {path} is neither a SentencePiece model nor a checkpoint") from None
    if text is None:
        raise UsageError(f"--tokenizer: {path} was not trained on text")
    source, target = text.tokenizers
    if not isinstance(target, Labels) and source.model != target.model:
        raise UsageError(f"--tokenizer: {path} has a tokenizer for each language; one with a joint tokenizer is needed")
    return source


def _vectors(sentences: list[Sequence[str]], words: list[str], options: argparse.Namespace) -> np.ndarray:
    """Vectors (V, D) of the words, by the method that the options choose; other words are left out before windows are
    laid."""
    ids = {word: number for number, word in enumerate(words)}
    kept = [[word for word in sentence if word in ids] for sentence in sentences]
    with tqdm(disable=not sys.stderr.isatty(), dynamic_ncols=True, unit_scale=True) as bar:
        if options.method == "glove":
            bar.unit = " pairs"
            counts = cooccurrences([[ids[word] for word in sentence] for sentence in kept], len(words), options.window)
            bar.reset(total=counts.nnz * options.epochs)
            return train_glove(counts, options.size, options.epochs, options.seed, options.x_max, bar.update)
        bar.unit = " words"
        bar.reset(total=sum(map(len, kept)) * (options.epochs + 1))
        return train_word2vec(
            kept, words, options.method, options.size, options.window, options.epochs, options.seed, bar.update
        )


def _telling(words: Sequence[str]) -> Sequence[str]:
    """The most frequent words of some letters; where there are none, the most frequent ones."""
    long = [word for word in words if len(word.removeprefix(BEGIN)) >= LONG and word.removeprefix(BEGIN).isalpha()]
    return (long or words)[:SHOWN]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise embed",
        description="Learn a vector for each word of plain text, write them in the text format of word2vec, and print "
        "the nearest neighbours of some frequent words. --model.embeddings of lengthwise fit begins with such vectors. "
        "docs/word_vectors.md compares the methods.",
        epilog="Examples: lengthwise embed train.en --method skip-gram --output vectors.txt; the neighbours of two "
        "words: lengthwise embed --neighbours vectors.txt dog street",
    )
    add = parser.add_argument
    add("text", nargs="*", metavar="FILE", help="text, one sentence a line; with --neighbours words instead")
    add("--method", choices=METHODS, default="glove",
        help="GloVe (Pennington et al. 2014), or CBOW or skip-gram (Mikolov et al. 2013) by gensim, which "
        "pip install 'lengthwise[embed]' brings (default %(default)s)")  # fmt: skip
    add("--size", type=int, default=100, metavar="D", help="numbers of a vector (default %(default)s)")
    add("--output", type=Path, default=Path("vectors.txt"), metavar="FILE", help="the vectors (default %(default)s)")
    add("--neighbours", type=Path, metavar="VECTORS",
        help="train nothing: print the words of these vectors that are nearest to some words")  # fmt: skip
    add("--window", type=int, default=5, metavar="N",
        help="greatest distance of two words that are learnt from (default %(default)s)")  # fmt: skip
    add("--min_count", type=int, default=5, metavar="N",
        help="words that stand there less often are left out (default %(default)s)")  # fmt: skip
    add("--epochs", type=int, default=20, metavar="N", help="how often the text is read (default %(default)s)")
    add("--x_max", type=float, default=X_MAX, metavar="X",
        help="glove: from which count on all pairs of words weigh the same (default %(default)g)")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="same seed, same vectors (default %(default)s)")
    add("--lowercase", action="store_true", help="make no difference between upper and lower case")
    add("--tokenizer", type=Path, metavar="FILE",
        help="learn vectors of pieces instead, those of a SentencePiece model or of a checkpoint on text")  # fmt: skip
    return parser
