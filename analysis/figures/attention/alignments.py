"""Heatmaps of attention with the words on both axes, as in Bahdanau et al. (2015, Figure 3), and of every head.

Each figure shows what models attended to while they wrote their own output for one source sentence, as their trials
left it in attention.json.

Shapes: T target and S source words.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.figures.attention.heatmaps import Map, grid_of_heads, side_by_side
from analysis.figures.chart import Chart
from analysis.figures.registry import LeftOutError, register
from analysis.statistics.attention.word_alignments import project_to_words, words_from_pieces, words_of_pieces
from analysis.tables.architectures import Architectures
from analysis.tables.attention_files import AttentionFile, Sentence
from analysis.tables.schema import ATTENTION

MOST_SENTENCES = 8


@register(
    "alignment", "attention", 1,
    "A row is one output; its dark cells are where the model looked for it. Words translated, or symbols copied, one "
    "after the other lie along the diagonal, a reversal along the other. An answer of one symbol has one row, and its "
    "end another. Compare short with long sources.",
)  # fmt: skip
def alignment_figures(attention: Sequence[AttentionFile], architectures: Architectures) -> list[Chart]:
    """The figures of a few sentences that most models have, the shortest source first.

    Raises:
        LeftOutError: two models have different sources under one id.
    """
    return [alignment_figure(attention, number, architectures) for number in spread_over_lengths(attention)]


def alignment_figure(files: Sequence[AttentionFile], sentence_id: int, architectures: Architectures) -> Chart:
    """What each model attended to in one source sentence, a panel a model, each beside its own output.

    Args:
        files: one file a model; those without this sentence get no panel.
        sentence_id: which sentence.
        architectures: what they say of themselves.

    Raises:
        ReportError: no file has the sentence, or two have another source under its id.
    """
    order = list(architectures.names(file.arch for file in files))
    shown = sorted((file for file in files if sentence_id in file.sentences), key=lambda file: order.index(file.arch))
    if not shown:
        raise ReportError(f"no {ATTENTION.file} has sentence {sentence_id}; it has {some_ids(files)}")
    check_same_source(shown, sentence_id)
    maps = [word_map(model_title(file, architectures), file.sentences[sentence_id]) for file in shown]
    points = pd.concat(
        [
            map_points(panel, arch=file.arch, label=file.label, id=sentence_id)
            for file, panel in zip(shown, maps, strict=True)
        ],
        ignore_index=True,
    )
    sentence = shown[0].sentences[sentence_id]
    caption = (
        f"Attention while each model wrote its own output (rows) for {sentence.name} (columns), from "
        f"white, 0, to black, 1. {weights_phrase(sentence)}Drawn as in Bahdanau et al. (2015, Figure 3)."
    )
    return Chart(f"alignment_{sentence_id}", side_by_side(maps), points, caption)


@register("heads", "attention", 2, "What single heads look at: the diagonal, the word before, the end of the sentence.")
def heads_figures(attention: Sequence[AttentionFile], architectures: Architectures) -> list[Chart]:
    """The heads of each model that has several, in a sentence of middle length; no two figures of one name.

    Raises:
        LeftOutError: two models have different sources under one id.
    """
    ids = spread_over_lengths(attention)
    for number in ids:
        check_same_source(attention, number)
    names: Counter[str] = Counter()
    charts = []
    for number in ids[len(ids) // 2 : len(ids) // 2 + 1]:  # every sentence would be too many
        for file in attention:
            if number in file.sentences and file.sentences[number].heads:
                chart = heads_figure(file, number, architectures)
                names[chart.name] += 1
                again = f"_{names[chart.name]}" if names[chart.name] > 1 else ""
                charts.append(chart._replace(name=chart.name + again))
    return charts


def heads_figure(file: AttentionFile, sentence_id: int, architectures: Architectures) -> Chart:
    """The attention of every head of one model in one sentence: layers are rows, heads are columns.

    Args:
        file: the file of a model with heads.
        sentence_id: which sentence.
        architectures: what they say of themselves.

    Raises:
        ReportError: the file lacks the sentence, or its heads.
    """
    if sentence_id not in file.sentences:
        raise ReportError(f"{file.path} has no sentence {sentence_id}; it has {some_ids([file])}")
    sentence = file.sentences[sentence_id]
    if not sentence.heads:
        raise ReportError(f"{file.path}: sentence {sentence_id} has no heads; choose a model with several")
    maps = {place: word_map("", sentence, weights) for place, weights in sorted(sentence.heads.items())}
    points = pd.concat(
        [
            map_points(panel, arch=file.arch, label=file.label, id=sentence_id, layer=layer, head=head)
            for (layer, head), panel in maps.items()
        ],
        ignore_index=True,
    )
    figure, labelled = grid_of_heads(maps)
    order = "" if labelled else "Columns are the source from left to right, rows the output from top to bottom."
    caption = (
        f"Attention of every head of {model_title(file, architectures)} while it wrote its own output for "
        f"{sentence.name}, from white, 0, to black, 1. {weights_phrase(sentence)}{order}"
    )
    slug = re.sub(r"[^\w-]+", "_", file.arch)
    return Chart(f"heads_{slug}_{sentence_id}", figure, points, caption.strip())


def spread_over_lengths(files: Sequence[AttentionFile], most: int = MOST_SENTENCES) -> list[int]:
    """Ids of sentences that most files have, from short sources to long ones, in this order."""
    lengths = {number: len(sentence.source) for file in files for number, sentence in file.sentences.items()}
    counts = Counter(number for file in files for number in file.sentences)
    common = [number for number, count in counts.items() if count == max(counts.values())]
    ordered = sorted(common, key=lambda number: (lengths[number], number))
    if len(ordered) <= most:
        return ordered
    return [ordered[place * (len(ordered) - 1) // (most - 1)] for place in range(most)]


def check_same_source(files: Sequence[AttentionFile], number: int) -> None:
    """Raise where two of the files that have a sentence have different sources for it.

    Raises:
        LeftOutError: they have; the message names them.
    """
    first, *others = [file for file in files if number in file.sentences]
    for other in others:
        if words_from_pieces(other.sentences[number].source) != words_from_pieces(first.sentences[number].source):
            raise LeftOutError(
                f"Attention maps are left out: {first.path} and {other.path} have different sources as sentence "
                f"{number}; draw these runs apart"
            )


def model_title(file: AttentionFile, architectures: Architectures) -> str:
    """The label of a trial, with the architecture called as in every other figure."""
    return file.label.replace(file.arch, architectures[file.arch].display_name, 1)


def word_map(title: str, sentence: Sentence, weights: np.ndarray | None = None) -> Map:
    """The panel of a sentence, between words; `weights` are those of a head instead of the mean over all."""
    weights = sentence.attention if weights is None else weights
    between_words = project_to_words(weights, words_of_pieces(sentence.source), words_of_pieces(sentence.target))
    return Map(title, words_from_pieces(sentence.source), words_from_pieces(sentence.target), between_words)


def map_points(panel: Map, **columns: Any) -> pd.DataFrame:
    """A row a cell, positions counted from 1."""
    rows, places = np.indices(panel.weights.shape)
    return pd.DataFrame(
        {
            **columns,
            "target_position": rows.ravel() + 1,
            "target": np.repeat(panel.target, len(panel.source)),
            "source_position": places.ravel() + 1,
            "source": np.tile(panel.source, len(panel.target)),
            "weight": panel.weights.ravel(),
        }
    )


def weights_phrase(sentence: Sentence) -> str:
    """What a cell stands for, for a caption; nothing need be said where every piece is a word."""
    if len(words_from_pieces(sentence.source)) == len(sentence.source):
        return ""
    return "Weights are summed over the pieces of a source word and averaged over those of an output word. "


def some_ids(files: Sequence[AttentionFile]) -> str:
    """The first ids of sentences that the files have, for a message."""
    ids = sorted({number for file in files for number in file.sentences})
    return (", ".join(map(str, ids[:10])) or "none") + (", …" if len(ids) > 10 else "")
