"""Training that begins from the weights of another model or from word vectors, and weights that stay as they are."""

import fnmatch
import re
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from data.batch import FIRST_TOKEN
from data.datamodule import Seq2SeqDataModule
from data.language.word_tokenizer import BEGIN, WordTokenizer
from data.tasks import IN_WORDS, TASKS
from experiments.embedding.vector_file import WordVectors, read_vectors
from experiments.errors import UsageError
from experiments.trial.checkpoints import KEY, read_checkpoint, same_sides
from lit_models import LitSeq2Seq
from lit_models.lit_module import embedding_files

OF_TARGET = {"target_embedding", "output"}  # the parts in which each target token has weights of its own
SHOWN = 6  # weights that a message names
EMBEDDINGS = "--model.embeddings"


def warm_start(model: LitSeq2Seq, checkpoint: str | None, data: Seq2SeqDataModule) -> list[str]:
    """Give a model the weights of a checkpoint and the word vectors that it is to begin with, if any.

    Returns:
        A line on each.

    Raises:
        UsageError: see `fitting_weights` and `given_embeddings`.
    """
    lines = []
    if checkpoint is not None:
        weights, taken = fitting_weights(model, Path(checkpoint), data)
        model.load_state_dict(weights, strict=False)
        lines.append(taken)
    if model.options["embeddings"] is not None:
        given, found = given_embeddings(model, data)
        with torch.no_grad():
            for table, tokens, vectors in given:
                table.weight[tokens] = vectors
        lines.append(found)
    return lines


def fitting_weights(model: LitSeq2Seq, path: Path, data: Seq2SeqDataModule) -> tuple[dict[str, Tensor], str]:
    """The weights of a checkpoint that have the name and the shape of one of the model, and a line on what was taken.

    Where target tokens are others, such as the classes that a model is fine-tuned on, what belongs to them is new.

    Raises:
        UsageError: in one line. The file is no checkpoint, or no matrix of it fits; vectors alone do not count: the
            biases of an output layer are as many whatever the width is. Or source tokens are words, and others.
    """
    try:
        content = read_checkpoint(path)
    except UsageError as error:
        raise UsageError(str(error).replace("--checkpoint", "--init_from", 1)) from None
    settings = content.get(KEY)
    if not isinstance(settings, dict):
        raise UsageError(f"--init_from: {path} is not a checkpoint of this suite")
    same_source, same_target = same_sides(content, data)
    if not same_source and (data.text is not None or data.task in IN_WORDS):
        remedy = f"--data.tokenizer {path} reads text in its tokens"
        if data.task in IN_WORDS:
            remedy = f"begin with a checkpoint of this task, or of one pre-trained with --data.corpus {data.task}"
        raise UsageError(f"--init_from: the words of {path} are not those of this trial; {remedy}")
    own, given = model.state_dict(), content["state_dict"]
    taken = {
        name: weight
        for name, weight in given.items()
        if name in own and own[name].shape == weight.shape
        if same_target or OF_TARGET.isdisjoint(name.split(".")) or len(weight) != model.target_vocab_size
    }
    missing = [f"{name} ({_difference(own[name], given.get(name))})" for name in own if name not in taken]
    unused = [f"{name} (not here)" for name in given if name not in own]
    if not any(weight.dim() > 1 for weight in taken.values()):
        theirs = _described(str(settings.get("model")), settings.get("options", {}))
        ours = _described(type(model).__name__, model.options)
        raise UsageError(f"--init_from: no weight of {path} fits; it is of {theirs}, and this trial of {ours}")
    left = missing + unused
    named = f"; not taken: {', '.join(left[:SHOWN])}{', …' if len(left) > SHOWN else ''}" if left else ""
    return taken, f"--init_from: {len(taken)} of {len(own)} weights are those of {path}{named}"


class Embedded(NamedTuple):
    """The rows of an embedding table that word vectors give: (N,) token ids and (N, D) vectors."""

    table: nn.Embedding
    tokens: Tensor
    vectors: Tensor


def given_embeddings(model: LitSeq2Seq, data: Seq2SeqDataModule) -> tuple[list[Embedded], str]:
    """What the model's option `embeddings` gives its tables, of source and target, and a line on how much that is.

    Where a file has words that begin with `▁`, its words are pieces, and pieces of the vocabulary are found as they
    stand. Otherwise a piece is found that is a whole word, or a sign.

    Raises:
        UsageError: in one line. A file cannot be read or is broken, has vectors of another size than the model, or none
            of the vocabulary; tokens are no words; or the model has no embeddings of the target.
    """
    option = model.options["embeddings"]
    if data.text is None and not TASKS[data.task].words:
        raise UsageError(f"{EMBEDDINGS}: the tokens of {data.task} are symbols; vectors are of words (data.task)")
    tokenizers = data.text.tokenizers if data.text else (WordTokenizer(TASKS[data.task].words),) * 2
    pieces = [tokenizer.pieces(range(FIRST_TOKEN, len(tokenizer))) for tokenizer in tokenizers]
    wanted = {name for side in pieces for piece in side for name in (piece, piece.removeprefix(BEGIN))}
    given: list[Embedded] = []
    found: dict[str, int] = {}
    counts = []
    read = {path: read_vectors(Path(path), EMBEDDINGS, wanted) for path in embedding_files(option) if path}
    for side, path, names in zip(("source", "target"), embedding_files(option), pieces, strict=True):
        table = getattr(model, f"{side}_embedding", None)
        if path is None or (table is None and isinstance(option, str)):
            continue
        if table is None:
            raise UsageError(f"{EMBEDDINGS}: {type(model).__name__} has no {side} embeddings; give null for {path}")
        _require_same_size(model, table, path, read[path])
        given.append(_rows(table, names, read[path]))
        count = len(given[-1].tokens)
        found[path] = found.get(path, 0) + count
        counts.append(f"{count:,} of {len(names):,} {side} embeddings are those of {path}")
    for path in found:
        if not found[path]:
            ours = " ".join([piece for piece in pieces[0] if piece.startswith(BEGIN) and piece != BEGIN][:5])
            raise UsageError(f"{EMBEDDINGS}: {path} has no word of the vocabulary, which has such as {ours}")
    return given, f"{EMBEDDINGS}: {', '.join(counts)}"


def _rows(table: nn.Embedding, pieces: list[str], vectors: WordVectors) -> Embedded:
    of_pieces = any(word.startswith(BEGIN) for word in vectors.words)
    places = {word: place for place, word in enumerate(vectors.words)}
    found = [
        (token, places[name])
        for token, piece in enumerate(pieces, start=FIRST_TOKEN)
        for name in [piece if of_pieces else _word(piece)]
        if name in places
    ]
    return Embedded(
        table, torch.tensor([token for token, _ in found], dtype=torch.long),
        torch.from_numpy(vectors.vectors[[place for _, place in found]]),
    )  # fmt: skip


def _word(piece: str) -> str:
    """The word that a piece stands for; nothing for one that goes on with a word."""
    begins = piece.startswith(BEGIN) or not re.search(r"\w", piece)
    return piece.removeprefix(BEGIN) if begins else ""


def _require_same_size(model: LitSeq2Seq, table: nn.Embedding, path: str, vectors: WordVectors) -> None:
    size, option = vectors.vectors.shape[1], "embedding_size" if "embedding_size" in model.options else "hidden_size"
    if size != table.embedding_dim:
        raise UsageError(
            f"{EMBEDDINGS}: {path} has vectors of {size} numbers, and an embedding of this {type(model).__name__} has "
            f"{table.embedding_dim}; give --model.{option} {size}, or other vectors"
        )


def task_of(path: Path) -> str:
    """What the model of a checkpoint has learnt."""
    return str(read_checkpoint(path)[KEY]["task"])


def patterns_of(freeze: list[str] | str | None) -> list[str]:
    """What --freeze names, one pattern or several."""
    return [freeze] if isinstance(freeze, str) else freeze or []


def frozen_parameters(model: LitSeq2Seq, patterns: list[str] | str | None) -> list[str]:
    """The names of the parameters that match a pattern such as `encoder.*`.

    Raises:
        UsageError: in one line. A pattern matches none, or nothing is left to train.
    """
    names, frozen = [name for name, _ in model.named_parameters()], set[str]()
    for pattern in patterns_of(patterns):
        matching = set(fnmatch.filter(names, pattern))
        if not matching:
            first = ", ".join(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in names))
            raise UsageError(f"--freeze: {pattern} matches no parameter of {type(model).__name__}; there are {first}")
        frozen |= matching
    if len(frozen) == len(names):
        raise UsageError(f"--freeze: {patterns} leaves nothing to train")
    return [name for name in names if name in frozen]


def freeze(model: LitSeq2Seq, patterns: list[str] | str | None) -> None:
    """Keep the parameters that match as they are."""
    for name in frozen_parameters(model, patterns):
        model.get_parameter(name).requires_grad_(False)


def _difference(own: Tensor, given: Tensor | None) -> str:
    here = " x ".join(map(str, own.shape))
    there = "" if given is None else " x ".join(map(str, given.shape))
    return "not there" if given is None else "of other tokens" if there == here else f"{there} there, {here} here"


def _described(model: str, options: dict[str, object]) -> str:
    named = ("hidden_size", "source_vocab_size", "target_vocab_size")
    return f"{model} with " + ", ".join(f"{name} {options[name]}" for name in named if name in options)
