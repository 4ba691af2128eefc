"""Heatmaps of the attention of every head of a model in one sentence."""

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from analysis.errors import ReportError
from analysis.figures.attention.heatmaps import grid_of_heads
from analysis.figures.attention.sentences import (
    check_same_source,
    map_points,
    model_title,
    some_ids,
    spread_over_lengths,
    weights_phrase,
    word_map,
)
from analysis.figures.chart import Chart
from analysis.figures.registry import register
from analysis.tables.architectures import Architectures
from analysis.tables.attention_files import AttentionFile


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
