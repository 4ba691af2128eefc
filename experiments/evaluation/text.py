"""The test split of a text task: decoded, scored as a whole and by source length, and kept sentence by sentence."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from analysis.tables.schema import ALL
from data.datamodule import Seq2SeqDataModule
from experiments.evaluation.text_metrics import corpus_bleu, sentence_scores, signatures, text_metrics
from experiments.evaluation.text_units import Units, units_of
from experiments.evaluation.translator import Translation, Translator
from experiments.files import whole_file
from lit_models import LitSeq2Seq
from lit_models.decoding.decoder import Decoding

SHOWN_SENTENCES = 8  # whose attention is kept
LONGEST_SHOWN = 40  # tokens; a larger matrix is not readable


class Row(NamedTuple):
    """A figure of the results table; see docs/results.md."""

    bucket: str
    eval_length: int
    position: int | None
    metric: str
    value: float


class TextResults(NamedTuple):
    """What the test split came to."""

    rows: list[Row]
    sentences: list[tuple[Any, ...]]  # in the columns of sentences.csv
    attention: list[dict[str, Any]]  # of a few sentences, as attention.json has them; empty without attention
    units: Units  # in which it was scored


def evaluate_text(
    model: LitSeq2Seq,
    data: Seq2SeqDataModule,
    decoding: Decoding,
    done: Callable[[str, int], Any] = lambda task, sentences: None,
) -> TextResults:
    """Decode the test split and score it.

    Args:
        model: a trained model.
        data: its text.
        decoding: which decoder.
        done: told the task, decoding or scoring, and the number of sentences whenever some are finished.
    """
    assert data.text is not None
    text = data.text.text("test")
    translator = Translator(model, data.text.tokenizers, data.lowercase)
    lengths = [len(row) for row in translator.encode(text.source, translator.source)]
    lines = [row + 1 for row in data.text.test_rows]
    generator = decoding.generator(model.device)
    translated = translator.translate(text.source, decoding, generator, done=partial(done, "decoding"))
    best = [outputs[0] for outputs in translated]
    outputs = [translation.text for translation in best]
    forced = _with_forced_lengths(translator, text.source, text.target, decoding, partial(done, "decoding again"))
    references = translator.target.comparable(text.target)
    units = units_of(text.target, data.target_language, data.bleu_tokenize)
    scores = sentence_scores(outputs, references, data.lowercase, partial(done, "scoring"), units)
    rows: list[Row] = []
    for bucket, upper, members in buckets_of(lengths, data.buckets):
        values = text_metrics(
            [outputs[i] for i in members],
            [references[i] for i in members],
            data.lowercase,
            [scores[i] for i in members],
            units,
        )
        if forced:
            values["forced_length_bleu"] = corpus_bleu(
                [forced[i] for i in members], [references[i] for i in members], data.lowercase, units
            )
        values["sentences"] = len(members)
        values["mean_source_length"] = sum(lengths[i] for i in members) / len(members)
        rows.extend(Row(bucket, upper, None, name, value) for name, value in values.items() if not math.isnan(value))
    sentences = [
        (line, length, source, reference, output, *score.bleu)
        for line, length, source, reference, output, score in zip(
            lines, lengths, text.source, text.target, outputs, scores, strict=True
        )
    ]
    return TextResults(rows, sentences, _attention(translator, text.source, best, lengths, lines), units)


def _with_forced_lengths(
    translator: Translator, sources: list[str], references: list[str], decoding: Decoding, done: Callable[[int], Any]
) -> list[str]:
    """The outputs of the same decoder with as many tokens as each reference has; none of a decoder that samples."""
    if decoding.method not in ("beam", "greedy"):
        return []
    lengths = [len(row) for row in translator.encode(references, translator.target)]
    generator = decoding.generator(translator.model.device)
    translated = translator.translate(sources, decoding, generator, done=done, forced_lengths=lengths)
    return [outputs[0].text for outputs in translated]


def buckets_of(lengths: list[int], edges: list[int]) -> list[tuple[str, int, list[int]]]:
    """All sentences, then those of each bucket that has any.

    Args:
        lengths: source length of each sentence.
        edges: upper ends of the buckets, ascending.

    Returns:
        Name of the bucket, its upper end, and the sentences in it. What is longer than the last edge has a bucket
        that ends at the longest sentence.
    """
    longest = max(lengths)
    buckets = [(ALL, longest, list(range(len(lengths))))]
    lower = 0
    for upper in [*edges, longest]:
        members = [i for i, length in enumerate(lengths) if lower < length <= upper]
        if members:
            last = upper == longest and upper not in edges
            buckets.append((f"{lower + 1}+" if last else f"{lower + 1}-{upper}", upper, members))
        lower = max(lower, upper)
    return buckets


def summary_of_text(data: Seq2SeqDataModule, decoding: Decoding, results: TextResults) -> dict[str, Any]:
    """What a summary says of a trial on text."""
    assert data.text is not None
    return {
        "decoding": str(decoding),
        "signatures": signatures(data.lowercase, data.text.tokenizers[1].normalises, results.units),
        "source_language": data.source_language,
        "target_language": data.target_language,
        "test_name": data.test_name,
        "attention": bool(results.attention),
    }


def write_attention(path: Path, arch: str, label: str, sentences: list[dict[str, Any]]) -> None:
    """Write the attention matrices of a few sentences, whole or not at all; `label` is what figures call the model."""
    content = {"arch": arch, "label": label, "sentences": sentences}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def _attention(
    translator: Translator, source: list[str], best: list[Translation], lengths: list[int], lines: list[int]
) -> list[dict[str, Any]]:
    """The same sentences for every model of a corpus: spread evenly over the lengths that can be shown."""
    by_length = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    order = [i for i in by_length if lengths[i] <= LONGEST_SHOWN] or by_length[:1]
    count = min(SHOWN_SENTENCES, len(order))
    chosen = [order[(2 * place + 1) * len(order) // (2 * count)] for place in range(count)]
    shown = []
    for i in sorted(chosen):
        pieces, target, weights, heads = translator.attention(source[i], best[i].tokens)
        if weights is None:
            return []
        shown.append(
            {
                "id": lines[i],
                "source": pieces,
                "target": target,
                "attention": rounded(weights.tolist()),
                "heads": {name: rounded(head.tolist()) for name, head in heads.items()} or None,
            }
        )
    return shown


def rounded(weights: list[list[float]]) -> list[list[float]]:
    """Weights with four digits, which is more than a picture shows."""
    return [[round(value, 4) for value in row] for row in weights]
