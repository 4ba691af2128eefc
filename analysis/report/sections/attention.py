"""Where attention looks: how often at the gold source position, and maps of single sentences."""

from collections.abc import Iterator, Sequence

from analysis.report.blocks import Block, Cell, Heading, Paragraph, Table, titled
from analysis.report.context import Report, Section
from analysis.statistics.summaries import (
    PROPORTION,
    SETTING,
    by_setting,
    count_phrase,
    interval_of,
    over_seeds,
    within_training,
)


def alignment_accuracy(report: Report) -> Iterator[Block]:
    """How often the largest attention weight lies on the gold source position."""
    rows = within_training(report.runs.results, "alignment_accuracy")
    if rows.empty:
        return
    points = over_seeds(rows, [*SETTING, "arch", "length"], PROPORTION)
    lengths = sorted(points["length"].unique())
    names = report.architectures.names(report.runs.results["arch"])
    lines: list[Sequence[Cell]] = []
    for setting, of_task in by_setting(points):
        for arch in report.architectures.names(of_task["arch"]):
            shares = {row["length"]: interval_of(row) for _, row in of_task[of_task["arch"] == arch].iterrows()}
            seeds = count_phrase(share.count for share in shares.values())
            lines.append((names[arch], str(setting), *map(shares.get, lengths), seeds))
    yield from titled(Table(
        ("Architecture", "Task", *(f"Length {length}" for length in lengths), "Seeds"),
        lines,
        "Alignment accuracy",
        "Share of target tokens whose largest attention weight lies on the gold source position.",
    ))  # fmt: skip


def maps(report: Report) -> Iterator[Block]:
    """Maps of a few sentences, which a slider leafs through by the length of their source."""
    figures, note = list(report.figures("attention")), report.gallery.notes["attention"]
    if figures or note:
        yield Heading("Where attention looks")
    if note:
        yield Paragraph(note)
    sentences = {
        f"alignment_{number}": sentence
        for file in report.evidence.attention
        for number, sentence in file.sentences.items()
    }
    for figure in figures:
        name, points = figure.chart.name, figure.chart.points
        if name in sentences:
            words = int(points.groupby("label")["source_position"].max().max())
            figure = figure._replace(source=sentences[name].example or f"{words} words")
        yield figure


SECTIONS = (Section(36, alignment_accuracy), Section(70, maps))
