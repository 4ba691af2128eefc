"""Text in, text out: a model with its tokenizers."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from analysis.statistics.attention.word_alignments import words_of_pieces
from data.batch import BOS, EOS, PAD, UNK, Batch, decode_limits
from data.batching import plan_batches
from data.language.word_tokenizer import WordTokenizer
from data.tasks import IN_WORDS, TASKS
from data.tokenizer import Tokenizer
from experiments.trial.checkpoints import Checkpoint
from lit_models import LitSeq2Seq
from lit_models.decoding.decoder import Decoding, decode

# What is decoded together, hypotheses counted. A step on a few rows takes a CPU about as long as one on thirty, so long
# segments need many positions; short ones stay within the rows whose logits a cache holds.
MOST_POSITIONS, MOST_ROWS = 16384, 512


class Translation(NamedTuple):
    """One output for a text.

    Attributes:
        text: detokenised.
        tokens: its ids, EOS included where the model ended it.
        score: what outputs of one text are ranked by: see `decode`.
    """

    text: str
    tokens: list[int]
    score: float


class Translator:
    """Translates text with a model.

    Args:
        model: any architecture.
        tokenizers: those of source and target that it was trained with.
        lowercase: whether it was trained on lower case.
    """

    def __init__(self, model: LitSeq2Seq, tokenizers: tuple[Tokenizer, Tokenizer], lowercase: bool) -> None:
        self.model = model
        self.source, self.target = tokenizers
        self.lowercase = lowercase

    def encode(self, texts: Sequence[str], side: Tokenizer) -> list[list[int]]:
        """Token ids as the model was trained on; a text without a piece is one unknown word."""
        rows = side.encode([text.lower() for text in texts] if self.lowercase else texts)
        return [row or [UNK] for row in rows]

    def words(self, text: str, side: Tokenizer) -> list[int]:
        """The word that each piece of a text belongs to, counted in the text as it stands, where spaces divide it."""
        [tokens] = self.encode([text], side)
        places = side.words(text.lower() if self.lowercase else text) or [0]
        return [places[min(word, len(places) - 1)] for word in words_of_pieces(side.pieces(tokens))]

    def translate(
        self,
        texts: Sequence[str],
        decoding: Decoding,
        generator: torch.Generator,
        n_best: int = 1,
        done: Callable[[int], Any] = lambda sentences: None,
        forced_lengths: Sequence[int] | None = None,
    ) -> list[list[Translation]]:
        """The n_best outputs of each text, best first; fewer, but at least one, where a decoder has no more.

        Args:
            texts: N source texts.
            decoding: which decoder.
            generator: `decoding.generator`, the same one for all texts of a run; see `decode`.
            n_best: most outputs a text.
            done: told the number of sentences whenever some are finished.
            forced_lengths: N, the tokens that each output has, at least 1 and EOS not among them; None lets the model
                end where it will.
        """
        rows = self.encode(texts, self.source)
        lengths = np.array([len(row) for row in rows])
        hypotheses = _hypotheses(decoding, n_best)
        budget, most = max(MOST_POSITIONS // hypotheses, int(lengths.max(initial=1))), max(MOST_ROWS // hypotheses, 1)
        results: list[list[Translation]] = [[] for _ in rows]
        self.model.eval()
        for batch in plan_batches(lengths, np.arange(len(rows)), budget, most) if rows else []:
            source, source_lengths = self._tensors([rows[row] for row in batch])
            limits, text_of = decode_limits(source_lengths), self.target.decode
            if forced_lengths is not None:
                limits = torch.tensor([forced_lengths[row] for row in batch], device=source.device)
            decoded = decode(
                self.model, source, source_lengths, limits, decoding, generator, n_best, text_of,
                length_forced=forced_lengths is not None,
            )  # fmt: skip
            for row, tokens, scores in zip(batch, decoded.tokens.tolist(), decoded.scores.tolist(), strict=True):
                results[row] = [
                    Translation(self.target.decode(output), without_padding(output), score)
                    for place, (output, score) in enumerate(zip(tokens, scores, strict=True))
                    if place == 0 or score > -math.inf
                ]
            done(len(batch))
        return results

    @torch.no_grad()
    def attention(self, text: str, tokens: list[int]) -> tuple[list[str], list[str], Tensor | None, dict[str, Tensor]]:
        """Where the model looked while it wrote an output.

        Args:
            text: the source.
            tokens: the T ids of the output.

        Returns:
            The S source pieces, the T target pieces, the weights (T, S) or None, and those of each head by name,
            empty where there is one alone; the weights on the CPU, wherever the model is.
        """
        [row] = self.encode([text], self.source)
        source, lengths = self._tensors([row])
        target = torch.tensor([tokens], device=source.device)
        target_in = torch.cat([torch.full_like(target[:, :1], BOS), target[:, :-1]], dim=1)
        batch = Batch(source, lengths, target_in, target)
        self.model.eval()
        weights = self.model(batch, need_attention=True).attention
        heads = {name: head[0].cpu() for name, head in self.model.attention_heads(batch).items()}
        return self.source.pieces(row), self.target.pieces(tokens), None if weights is None else weights[0].cpu(), heads

    def _tensors(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """(B, S) ids and (B,) lengths, where the model is."""
        lengths = torch.tensor([len(row) for row in rows])
        source = torch.full((len(rows), int(lengths.max())), PAD)
        for place, row in enumerate(rows):
            source[place, : len(row)] = torch.tensor(row)
        return source.to(self.model.device), lengths.to(self.model.device)


def translator_of(checkpoint: Checkpoint) -> Translator | None:
    """The model of a checkpoint as one that translates; None where its task has symbols and no words."""
    if checkpoint.task in IN_WORDS:
        words = WordTokenizer(TASKS[checkpoint.task].words)
        return Translator(checkpoint.model, (words, words), lowercase=False)
    text = checkpoint.text
    return None if text is None else Translator(checkpoint.model, text.tokenizers, text.lowercase)


def _hypotheses(decoding: Decoding, n_best: int) -> int:
    """How many a sentence are computed side by side."""
    at_once = {"beam": max(decoding.beam_size, n_best), "mbr": decoding.samples, "sample": n_best, "greedy": 1}
    return at_once[decoding.method]


def without_padding(tokens: list[int]) -> list[int]:
    """The ids of an output, EOS included where the model ended it."""
    return tokens[: tokens.index(EOS) + 1] if EOS in tokens else [token for token in tokens if token != PAD]
