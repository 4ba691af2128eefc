"""The page of `lengthwise look`, look.html, with its figures: what a model looks at in sentences."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.figures.attention.looks import KINDS, Look, head_chart, heads_chart, lines_chart
from analysis.figures.chart import Chart, save_chart
from analysis.files import replacing
from analysis.report.blocks import Block, Code, Heading, Paragraph, Table, Words, literal
from analysis.report.probe_pages import linked
from analysis.report.render.html import page
from analysis.statistics.attention.antecedents import Followed
from analysis.statistics.words import percent


class Shown(NamedTuple):
    """One sentence on the page.

    Attributes:
        text: as it was given.
        output: what the model wrote.
        looks: what looks at what; the first one is drawn large, with lines.
        place: its layer and head.
        rows: the chosen word among what looks in it; empty where none is.
        columns: the chosen word among what is looked at.
    """

    text: str
    output: str
    looks: Sequence[Look]
    place: tuple[int, int]
    rows: Sequence[int]
    columns: Sequence[int]


def sentence_charts(shown: Shown, suffix: str) -> list[Chart]:
    """The figures of one sentence: the lines and the chosen head, then all heads."""
    chosen, *others = shown.looks
    charts = [lines_chart(chosen, shown.place, shown.rows, shown.columns, suffix)]
    charts.append(head_chart(chosen, shown.place, suffix))
    charts += [heads_chart(look, suffix) for look in shown.looks if len(look.heads) > 1]
    return charts + [head_chart(look, (1, 1), suffix) for look in others if len(look.heads) == 1]


def write_look_page(
    folder: Path,
    title: str,
    origin: str,
    command: Sequence[str],
    sentences: Sequence[Shown],
    more: Sequence[Block],
    charts: Sequence[Chart],
) -> None:
    """Write look.html, and figures/ beside it.

    Args:
        folder: where to.
        title: of the page.
        origin: what model is looked into, as Markdown.
        command: arguments that make the page again.
        sentences: each gets a section.
        more: what stands before them, on all sentences together.
        charts: figures of all sentences together.
    """
    blocks: list[Block | Words] = [Heading(title, 1), Paragraph(origin), *more]
    for chart in charts:
        save_chart(chart, folder / "figures")
        blocks.append(linked(chart))
    for number, shown in enumerate(sentences, start=1):
        drawn = sentence_charts(shown, f"_{number}" if len(sentences) > 1 else "")
        for chart in drawn:
            save_chart(chart, folder / "figures")
        blocks += [
            Heading(literal(f"{number}. {shown.text}")),
            Paragraph(f"The model writes: {literal(shown.output) or '(nothing)'}"),
            Words(shown.looks, shown.place, shown.rows[0] if shown.rows else 0),
            *map(linked, drawn),
        ]
    blocks += [Heading("How this page was made"), Code(shlex.join(command))]
    with replacing(folder / "look.html") as temporary:
        temporary.write_text(page(blocks), encoding="utf-8")


def vectors_table(places: Sequence[tuple[int, int]], cosines: np.ndarray) -> Table:
    """Cosine similarities (N, N) of the vectors of N words, each with its sentence and its position there."""
    names = [f"sentence {sentence}, word {position}" for sentence, position in places]
    rows = [[name, *(f"{value:z.3f}" for value in row)] for name, row in zip(names, cosines, strict=True)]
    caption = "Vectors are those of the encoder's last layer, the mean over the pieces of a word."
    return Table(["", *names], rows, "Cosine similarity of the vectors of a word", caption)


def antecedents_table(scores: Mapping[tuple[str, int, int], Followed], sentences: int) -> Table:
    """A row a head, the best first."""
    ordered = sorted(scores.items(), key=lambda item: -item[1].share.mean)
    told = any(one.preferred for one in scores.values())
    rows = [
        (
            f"{KINDS[kind][0]}, layer {layer} head {head}",
            percent(one.share),
            f"{one.chance:.0%}",
            *([percent(one.preferred) if one.preferred else None] if told else []),
        )
        for (kind, layer, head), one in ordered
    ]
    return Table(
        ("head", "right word", "chance", *(["right before wrong"] if told else [])),
        rows,
        title="Does a head follow the antecedent?",
        caption=f"The share of {sentences:,} sentences in which the largest weight of the word that looks lies on the "
        "right word, with Wilson's 95% interval. Chance is that of any word that can be seen, each as likely. "
        + ("Right before wrong: the right word has more weight than the wrong one; chance is 50%. " if told else "")
        + f"Of {len(rows)} heads the best one is chosen by the same sentences, which flatters it.",
    )


def write_antecedents(scores: Mapping[tuple[str, int, int], Followed], folder: Path) -> None:
    """Write antecedents.csv, a row a head."""
    rows = [
        {
            "attention": kind,
            "layer": layer,
            "head": head,
            "sentences": one.share.count,
            "share": one.share.mean,
            "low": one.share.low,
            "high": one.share.high,
            "chance": one.chance,
            **dict(
                zip(
                    ("preferred", "preferred_low", "preferred_high", "preferred_of"),
                    one.preferred or (None,) * 4,
                    strict=True,
                )
            ),
        }
        for (kind, layer, head), one in sorted(scores.items())
    ]
    with replacing(folder / "antecedents.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
