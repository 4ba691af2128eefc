"""What a trained model looks at in a sentence, of text or of symbols: its attention, or a gradient where it has none.

Shapes: S source and T target tokens, W of one stack, M numbers of a vector.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from analysis.figures.attention.looks import Look
from analysis.statistics.attention.antecedents import Antecedent, Followed, followed
from analysis.statistics.attention.word_alignments import project_to_words, words_from_pieces, words_of_pieces
from analysis.tables.attention_files import HEAD
from data.batch import BOS, EOS, FIRST_TOKEN, Batch, decode_limits
from data.language.coreference import antecedent
from data.tasks import TASKS, generate
from experiments.errors import UsageError
from experiments.evaluation.samples import symbols
from experiments.evaluation.symbol_attention import WORD
from experiments.evaluation.translator import translator_of, without_padding
from experiments.trial.checkpoints import Checkpoint
from lit_models.contract import SelfAttention
from lit_models.decoding.search import greedy
from lit_models.probes.gradient_flow import embedding_gradients

ENDS = {BOS: "<s>", EOS: "</s>"}


class Looked(NamedTuple):
    """One sentence: the words of source and output, what looks at what, and (words, M) vectors of the source's words.

    `looks` has self-attention first, then attention to the source, or the gradient where there is no self-attention.
    """

    source: list[str]
    output: list[str]
    looks: list[Look]
    vectors: Tensor


class Looker:
    """Looks into the model of a checkpoint while it reads a sentence and writes its own output, greedily."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.model = checkpoint.model
        self.translator = translator_of(checkpoint)

    def look(self, sentence: str) -> Looked:
        """See `Looked`.

        Raises:
            ValueError: a symbol that the model does not have, or more tokens than it has positions.
        """
        row = self._tokens(sentence)
        source, lengths = torch.tensor([row]), torch.tensor([len(row)])
        with torch.no_grad():
            written = without_padding(greedy(self.model, source, lengths, decode_limits(lengths))[0].tolist())
            batch = _batch(row, written)
            stacks = self.model.self_attention(batch)
            looks = [self._self_look(stack, row, written) for stack in stacks]
            looks += self._cross_look(batch, row, written)
            vectors = self.model.encode(source, lengths).states[0].float()
        if not stacks:
            looks.append(self._gradient_look(batch, row, written))
        pieces = self._pieces(row)
        of_words = _membership(words_of_pieces(pieces)) @ vectors
        return Looked(words_from_pieces(pieces), self._words(written, of_target=True), looks, of_words)

    def follow(self, antecedents: Sequence[Antecedent]) -> dict[tuple[str, int, int], Followed]:
        """By kind, layer and head, how well heads follow antecedents: those that look at the source from within it and,
        where the translation is known, those that look at it while the word is written.

        Raises:
            UsageError: the model has no such attention.
            ValueError: as `look`; or the tokenizer leaves nothing of a word.
        """
        rows: dict[tuple[str, int, int], list[np.ndarray]] = {}
        for one in antecedents:
            for place, row in self._rows(one).items():
                rows.setdefault(place, []).append(row)
        if not rows:
            name = self.model.display_name
            how = "no attention at all" if antecedents[0].translation else "no self-attention"
            raise UsageError(f"--antecedents: {name} has {how}, by which a word could look at another")
        return {place: followed(weights, antecedents) for place, weights in rows.items()}

    @torch.no_grad()
    def _rows(self, one: Antecedent) -> dict[tuple[str, int, int], np.ndarray]:
        """What the word that looks weighs each word that it can see, by kind, layer and head."""
        row = self._tokens(one.sentence)
        words = (
            self.translator.words(one.sentence, self.translator.source) if self.translator else list(range(len(row)))
        )
        if one.looking > max(words):
            raise ValueError(f"the tokenizer leaves nothing of word {one.looking + 1} of '{one.sentence}'")
        batch, rows = _batch(row, [EOS]), {}  # what is written makes no difference to the source
        for stack in self.model.self_attention(batch):
            if stack.reads[0] == "source":
                behind = range(stack.layers[0].shape[-1] - len(row))
                places = words + [max(words) + 1 + place for place in behind]
                seen = one.looking + 1 if stack.causal else max(places) + 1
                for (layer, head), weights in _heads(stack.layers, places, places).items():
                    rows[stack.stack, layer, head] = weights[one.looking, :seen]
        if one.translation and self.translator:
            written = [*self.translator.encode([one.translation], self.translator.target)[0], EOS]
            target_words = self.translator.words(one.translation, self.translator.target)
            for (layer, head), weights in self._cross_attention(_batch(row, written)).items():
                by_word = project_to_words(weights[:-1].double().numpy(), words, target_words)
                rows["cross", layer, head] = by_word[one.written]
        return rows

    def _self_look(self, stack: SelfAttention, row: list[int], written: list[int]) -> Look:
        parts = {
            "source": self._pieces(row),
            "end": [ENDS[EOS]],
            "target": self._pieces([BOS, *written[:-1]], of_target=True),
        }
        pieces = [piece for part in stack.reads for piece in parts[part]]
        places, words = words_of_pieces(pieces), words_from_pieces(pieces)
        return Look(stack.stack, words, words, _heads(stack.layers, places, places))

    def _cross_look(self, batch: Batch, row: list[int], written: list[int]) -> list[Look]:
        """Attention from each output to the source; empty for a model without."""
        by_place = self._cross_attention(batch)
        return [self._from_outputs("cross", by_place, row, written)] if by_place else []

    def _cross_attention(self, batch: Batch) -> dict[tuple[int, int], Tensor]:
        """(T, S) weights of the only sentence, by layer and head."""
        mean = self.model(batch, need_attention=True).attention
        if mean is None:
            return {}
        by_place = {(1, 1): mean[0]}
        for name, weights in self.model.attention_heads(batch).items():
            match = HEAD.fullmatch(name)
            assert match
            by_place[int(match[1]), int(match[2])] = weights[0]
        return by_place

    def _gradient_look(self, batch: Batch, row: list[int], written: list[int]) -> Look:
        """How much each output depends on each source token."""
        norms = torch.stack([embedding_gradients(self.model, batch, place)[0] for place in range(len(written))])
        shares = norms / norms.sum(dim=1, keepdim=True).clamp(min=torch.finfo(norms.dtype).tiny)
        return self._from_outputs("gradient", {(1, 1): shares}, row, written)

    def _from_outputs(
        self, kind: str, by_place: dict[tuple[int, int], Tensor], row: list[int], written: list[int]
    ) -> Look:
        source, target = self._pieces(row), self._pieces(written, of_target=True)
        sides = words_of_pieces(source), words_of_pieces(target)
        heads = {place: project_to_words(weights.double().numpy(), *sides) for place, weights in by_place.items()}
        return Look(kind, words_from_pieces(target), words_from_pieces(source), heads)

    def _tokens(self, sentence: str) -> list[int]:
        if self.translator:
            return self.translator.encode([sentence], self.translator.source)[0]
        alphabet = self.model.source_vocab_size - FIRST_TOKEN
        for symbol in sentence.split():
            if not (symbol.isdecimal() and int(symbol) < alphabet):
                raise ValueError(f"'{symbol}' is no symbol of this model; they are 0 to {alphabet - 1}, between spaces")
        return [int(symbol) + FIRST_TOKEN for symbol in sentence.split()]

    def _pieces(self, tokens: list[int], of_target: bool = False) -> list[str]:
        if self.translator:
            named = (self.translator.target if of_target else self.translator.source).pieces(tokens)
        else:
            named = [f"{WORD}{token - FIRST_TOKEN if token >= FIRST_TOKEN else '?'}" for token in tokens]
        return [ENDS.get(token, name) for token, name in zip(tokens, named, strict=True)]

    def _words(self, tokens: list[int], of_target: bool) -> list[str]:
        return words_from_pieces(self._pieces(tokens, of_target))


def known_antecedents(checkpoint: Checkpoint, count: int = 300) -> list[Antecedent]:
    """Test sentences of a task that knows the antecedent, of all distances up to that of training.

    Raises:
        UsageError: the model was trained on another task.
    """
    if checkpoint.task != "coreference":
        raise UsageError(
            f"--antecedents: test stands for test sentences of coreference, but the model was trained on "
            f"{checkpoint.task}; give a file"
        )
    task, length = TASKS[checkpoint.task], int(checkpoint.config["data"]["length"])
    examples = generate(checkpoint.task, 0, task.least_length, length, count, checkpoint.seed, "test")
    sentences, translations = (
        [symbols(row, checkpoint.task) for row in rows.tolist()] for rows in (examples.source, examples.target)
    )
    answers = {task.words[answer] for answer in task.answers}
    return [
        Antecedent(" ".join(words), *antecedent(words), " ".join(written), _last_of(answers, written))
        for words, written in zip(sentences, translations, strict=True)
    ]


def _last_of(answers: Collection[str], words: Sequence[str]) -> int:
    return max(place for place, word in enumerate(words) if word in answers)


def cosines(vectors: Tensor) -> np.ndarray:
    """Cosine similarities (N, N) of vectors (N, M)."""
    unit = torch.nn.functional.normalize(vectors.double(), dim=1)
    return (unit @ unit.T).numpy()


def _batch(row: list[int], written: list[int]) -> Batch:
    return Batch(
        source=torch.tensor([row]),
        source_lengths=torch.tensor([len(row)]),
        target_in=torch.tensor([[BOS, *written[:-1]]]),
        target_out=torch.tensor([written]),
    )


def _heads(layers: Sequence[Tensor], rows: list[int], columns: list[int]) -> dict[tuple[int, int], np.ndarray]:
    """Of the only sentence, between words, by layer and head: see `project_to_words`."""
    return {
        (layer, head): project_to_words(weights.double().numpy(), columns, rows)
        for layer, of_layer in enumerate(layers, start=1)
        for head, weights in enumerate(of_layer[0], start=1)
    }


def _membership(words: list[int]) -> Tensor:
    """(words, S) by which the vectors of pieces become the mean of a word."""
    of_word = torch.tensor(words)[None] == torch.arange(max(words) + 1)[:, None]
    return of_word / of_word.sum(dim=1, keepdim=True)
