"""Sentences whose attention is shown: which of them, between which words, and as which points.

Shapes: T target and S source words.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.attention.heatmaps import Map
from analysis.figures.registry import LeftOutError
from analysis.statistics.word_alignments import project_to_words, words_from_pieces, words_of_pieces
from analysis.tables.architectures import Architectures
from analysis.tables.attention_files import AttentionFile, Sentence

MOST_SENTENCES = 8


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
