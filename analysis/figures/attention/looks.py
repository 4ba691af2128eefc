"""Figures of what a trained model looks at in one sentence: all heads, one head large, and lines from word to word.

Shapes: T words that look, S words that are looked at.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.figures.attention.alignments import map_points
from analysis.figures.attention.heatmaps import Map, grid_of_heads, side_by_side
from analysis.figures.attention.word_lines import word_lines
from analysis.figures.chart import Chart

# The name of what looks, and what its rows and columns are.
KINDS = {
    "encoder": ("self-attention of the encoder", "Each word of the source (rows) looks at words of the source."),
    "decoder": (
        "self-attention of the decoder",
        "Each word that the decoder reads (rows) looks at itself and at those before it.",
    ),
    "self": ("self-attention", "Each word that the one stack reads (rows) looks at words of the same sequence."),
    "cross": ("attention to the source", "Each word that is written (rows) looks at words of the source."),
    "gradient": (
        "gradient at the source",
        "How much the cross-entropy of each word that is written (rows) depends on the embedding of each word of the "
        "source: the norm of its gradient, as a share of the row.",
    ),
}


class Look(NamedTuple):
    """What looks at what in one sentence.

    Attributes:
        kind: one of `KINDS`.
        rows: T words that look.
        columns: S words that are looked at.
        heads: (T, S) weights of each (layer, head), both counted from 1.
    """

    kind: str
    rows: list[str]
    columns: list[str]
    heads: dict[tuple[int, int], np.ndarray]

    def name(self, place: tuple[int, int]) -> str:
        """What a head is called: `layer 2 head 3`; empty where there is one alone."""
        return f"layer {place[0]} head {place[1]}" if len(self.heads) > 1 else ""

    def title(self, place: tuple[int, int]) -> str:
        """The same with what it is a head of."""
        return ", ".join(filter(None, [KINDS[self.kind][0], self.name(place)]))


def most_decided(look: Look, layer: int, rows: Collection[int]) -> int:
    """The head of a layer whose largest weights are largest, in the mean over some rows, all if there are none."""
    heads = {head: weights[sorted(rows) or slice(None)] for (at, head), weights in look.heads.items() if at == layer}
    return max(heads, key=lambda head: float(heads[head].max(axis=1).mean()))


def heads_chart(look: Look, suffix: str = "") -> Chart:
    """Every head in a small panel: layers are rows, heads are columns."""
    maps = {place: Map("", look.columns, look.rows, weights) for place, weights in sorted(look.heads.items())}
    points = [_points(panel, layer=layer, head=head) for (layer, head), panel in maps.items()]
    figure, labelled = grid_of_heads(maps)
    order = "" if labelled else " Words run from left to right and from top to bottom."
    return Chart(
        f"{look.kind}_heads{suffix}",
        figure,
        pd.concat(points, ignore_index=True),
        f"Every head: {KINDS[look.kind][0]}. {KINDS[look.kind][1]} From white, 0, to black, 1.{order}",
    )


def head_chart(look: Look, place: tuple[int, int], suffix: str = "") -> Chart:
    """One head large, or what has one alone."""
    title = look.title(place)
    panel = Map(title[0].upper() + title[1:], look.columns, look.rows, look.heads[place])
    name = f"{look.kind}_head" if len(look.heads) > 1 else look.kind
    points = _points(panel, layer=place[0], head=place[1])
    return Chart(f"{name}{suffix}", side_by_side([panel]), points, f"{KINDS[look.kind][1]} From white, 0, to black, 1.")


def lines_chart(
    look: Look, place: tuple[int, int], rows: Collection[int], columns: Collection[int], suffix: str = ""
) -> Chart:
    """Lines between the words that look, on the left, and those that are looked at, as wide as the weights.

    Args:
        look: what looks at what.
        place: layer and head.
        rows: the words whose lines are drawn; none of them means all.
        columns: where there are no such rows, the words to which lines are drawn; none means all.
        suffix: of the name.
    """
    one = Map("", look.columns, look.rows, look.heads[place])
    shown = np.zeros(one.weights.shape, dtype=bool)
    if rows:
        shown[sorted(rows)] = True
    else:
        shown[:, sorted(columns) or slice(None)] = True
    figure = word_lines(one, shown, rows, columns)
    drawn = f"The lines are as wide as the weights: {look.title(place)}. On the left stands what looks."
    points = _points(one, layer=place[0], head=place[1])[shown.ravel()]
    return Chart(f"lines{suffix}", figure, points, drawn)


def vectors_chart(words: Sequence[str], sentences: Sequence[int], cosines: np.ndarray) -> Chart:
    """Cosine similarities (N, N) of the contextual vectors of N words, each in the sentence of that number."""
    labels = [f"{word} ({sentence})" for word, sentence in zip(words, sentences, strict=True)]
    first, second = np.indices(cosines.shape).reshape(2, -1)
    points = pd.DataFrame(
        {
            "sentence": np.take(sentences, first),
            "word": np.take(words, first),
            "other_sentence": np.take(sentences, second),
            "other_word": np.take(words, second),
            "cosine_similarity": cosines.ravel(),
        }
    )
    figure = side_by_side([Map("Cosine similarity", labels, labels, cosines.clip(min=0))])
    caption = "Cosine similarity of the vectors that the encoder makes of a word, with the number of its sentence. "
    return Chart("vectors", figure, points, caption + "From white, 0 or below, to black, 1.")


def _points(panel: Map, **columns: int) -> pd.DataFrame:
    """A row a weight, positions counted from 1; `source` and `target` would not tell who looks in self-attention."""
    names = {"target_position": "position", "target": "word", "source_position": "looks_at_position"}
    return map_points(panel, **columns).rename(columns={**names, "source": "looks_at"})
