"""Heatmaps of attention with the words on both axes, as in Bahdanau et al. (2015, Figure 3).

Each figure shows what the models attended to while they wrote their own output for one source sentence, as their
trials left it in attention.json.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.errors import ReportError
from analysis.figures.attention.heatmaps import side_by_side
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
from analysis.tables.schema import ATTENTION


@register(
    "alignment", "attention", 1,
    "Dark cells along the diagonal are words translated, or symbols copied, one after the other; a "
    "reversal runs along the other diagonal. Compare short with long sources.",
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
