"""Heatmaps of attention with the words on both axes, as in Bahdanau et al. (2015, Figure 3).

Each figure shows what the models attended to while they wrote their own output for one source sentence, as their
trials left it in attention.json.

Shapes: T target and S source pieces, or words.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context

from analysis.errors import ReportError
from analysis.figures.attention.heatmaps import Map, grid_of_heads, side_by_side
from analysis.figures.chart import Chart, missing_glyphs_unmentioned
from analysis.figures.style import paper_style, styles
from analysis.files import replacing
from analysis.statistics.word_alignments import project_to_words, words_from_pieces, words_of_pieces
from analysis.tables.attention_files import AttentionFile, Sentence
from analysis.tables.schema import ATTENTION

MOST_FIGURES = 4
SUFFIXES = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # same figure, same bytes


def alignment_figure(files: Sequence[AttentionFile], sentence_id: int, pieces: bool = False) -> Chart:
    """What each model attended to in one source sentence, a panel a model, each beside its own output.

    Args:
        files: one file a model; those without this sentence get no panel.
        sentence_id: which sentence.
        pieces: show the pieces the models read and write instead of the words they make up.

    Raises:
        ReportError: no file has the sentence, or two have another source under its id.
    """
    shown = [file for name in styles(file.arch for file in files) for file in files if file.arch == name]
    shown = [file for file in shown if sentence_id in file.sentences]
    if not shown:
        raise ReportError(f"no {ATTENTION.file} has sentence {sentence_id}; it has {_some_ids(files)}")
    _check_same_source(shown, sentence_id)
    maps = [_map(_title(file), file.sentences[sentence_id], pieces) for file in shown]
    points = pd.concat(
        [_points(one, arch=file.arch, label=file.label, id=sentence_id) for file, one in zip(shown, maps, strict=True)],
        ignore_index=True,
    )
    sentence = shown[0].sentences[sentence_id]
    caption = (
        f"Attention while each model wrote its own output (rows) for {sentence.name} (columns), from "
        f"white, 0, to black, 1. {_unit(pieces, sentence)}Drawn as in Bahdanau et al. (2015, Figure 3)."
    )
    return Chart(f"alignment_{sentence_id}", side_by_side(maps), points, caption)


def heads_figure(file: AttentionFile, sentence_id: int, pieces: bool = False) -> Chart:
    """The attention of every head of one model in one sentence: layers are rows, heads are columns.

    Args:
        file: the file of a model with heads.
        sentence_id: which sentence.
        pieces: show the pieces the model reads and writes instead of the words they make up.

    Raises:
        ReportError: the file lacks the sentence, or its heads.
    """
    if sentence_id not in file.sentences:
        raise ReportError(f"{file.path} has no sentence {sentence_id}; it has {_some_ids([file])}")
    sentence = file.sentences[sentence_id]
    if not sentence.heads:
        raise ReportError(f"{file.path}: sentence {sentence_id} has no heads; choose a model with several")
    maps = {place: _map("", sentence, pieces, weights) for place, weights in sorted(sentence.heads.items())}
    points = pd.concat(
        [
            _points(one, arch=file.arch, label=file.label, id=sentence_id, layer=layer, head=head)
            for (layer, head), one in maps.items()
        ],
        ignore_index=True,
    )
    figure, labelled = grid_of_heads(maps)
    order = "" if labelled else "Columns are the source from left to right, rows the output from top to bottom."
    caption = (
        f"Attention of every head of {_title(file)} while it wrote its own output for {sentence.name}, "
        f"from white, 0, to black, 1. {_unit(pieces, sentence)}{order}"
    )
    return Chart(f"heads_{_slug(file.arch)}_{sentence_id}", figure, points, caption.strip())


def _title(file: AttentionFile) -> str:
    """The label of a trial, with the architecture called as in every other figure."""
    return file.label.replace(file.arch, styles([file.arch])[file.arch].name, 1)


def draw_attention(path: Path, source: list[str], target: list[str], attention: Any, title: str = "") -> None:
    """Draw the attention of one sentence and write it to a file.

    Args:
        path: where to; the suffix .png, .pdf or .svg says in which format.
        source: S words or pieces, written above the columns as they are.
        target: T words or pieces, written beside the rows.
        attention: (T, S) weights, from 0, white, to 1, black.
        title: a line above the figure.

    Raises:
        ReportError: another suffix.
        ValueError: weights of another shape.
        OSError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ReportError(f"{path}: figures are written as {', '.join(SUFFIXES)}; give a name that ends in one of them")
    weights = np.asarray(attention, dtype=float)
    if weights.shape != (len(target), len(source)):
        raise ValueError(f"attention of shape {weights.shape} over {len(target)} target and {len(source)} source words")
    figure = side_by_side([Map(title, source, target, weights)])
    # Letters of an SVG stay letters: the viewer's fonts show scripts that the drawing font lacks.
    as_text = rc_context({"svg.fonttype": "none", "svg.hashsalt": "attention"})
    with replacing(path) as temporary, paper_style(), as_text, missing_glyphs_unmentioned():
        figure.savefig(temporary, format=suffix[1:], dpi=200, metadata=SUFFIXES[suffix])


def common_sentences(files: Iterable[AttentionFile], most: int = MOST_FIGURES) -> list[int]:
    """The ids worth a figure: those that most files have, then the lowest; in ascending order."""
    counts = Counter(number for file in files for number in file.sentences)
    return sorted(sorted(counts, key=lambda number: (-counts[number], number))[:most])


def alignment_charts(files: Sequence[AttentionFile], ids: Iterable[int], pieces: bool = False) -> Iterator[Chart]:
    """The figure of each sentence, and of the heads of every model that has some; no two of one name.

    Raises:
        ReportError: see `alignment_figure`.
    """
    names: Counter[str] = Counter()
    for number in ids:
        yield alignment_figure(files, number, pieces)
        for file in files:
            if number in file.sentences and file.sentences[number].heads:
                chart = heads_figure(file, number, pieces)
                names[chart.name] += 1
                again = f"_{names[chart.name]}" if names[chart.name] > 1 else ""
                yield chart._replace(name=chart.name + again)


def _some_ids(files: Sequence[AttentionFile]) -> str:
    ids = sorted({number for file in files for number in file.sentences})
    return ", ".join(map(str, ids[:10])) + (", …" if len(ids) > 10 else "") if ids else "none"


def _check_same_source(files: Sequence[AttentionFile], number: int) -> None:
    first, *others = files
    for other in others:
        if words_from_pieces(other.sentences[number].source) != words_from_pieces(first.sentences[number].source):
            raise ReportError(
                f"{first.path} and {other.path} have different sources as sentence {number}; draw these runs apart"
            )


def _map(title: str, sentence: Sentence, pieces: bool, weights: np.ndarray | None = None) -> Map:
    weights = sentence.attention if weights is None else weights
    if pieces:
        return Map(title, sentence.source, sentence.target, weights)
    between_words = project_to_words(weights, words_of_pieces(sentence.source), words_of_pieces(sentence.target))
    return Map(title, words_from_pieces(sentence.source), words_from_pieces(sentence.target), between_words)


def _points(one: Map, **columns: Any) -> pd.DataFrame:
    """A row a cell, positions counted from 1."""
    rows, places = np.indices(one.weights.shape)
    return pd.DataFrame(
        {
            **columns,
            "target_position": rows.ravel() + 1,
            "target": np.repeat(one.target, len(one.source)),
            "source_position": places.ravel() + 1,
            "source": np.tile(one.source, len(one.target)),
            "weight": one.weights.ravel(),
        }
    )


def _unit(pieces: bool, sentence: Sentence) -> str:
    """What a cell stands for; nothing need be said where every piece is a word."""
    if pieces:
        return "Pieces as the models read and write them. "
    if len(words_from_pieces(sentence.source)) == len(sentence.source):
        return ""
    return "Weights are summed over the pieces of a source word and averaged over those of an output word. "


def _slug(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name)
