"""Every figure of a report, by section, each with what to see in it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis.errors import ReportError
from analysis.figures.attention.alignments import alignment_charts
from analysis.figures.chart import Chart
from analysis.figures.gradients.command import gradient_charts
from analysis.figures.length.accuracy import bottleneck_charts
from analysis.figures.length.bleu import by_length_charts
from analysis.figures.length.capacity import capacity_figure
from analysis.figures.length.learning_curves import learning_figure
from analysis.figures.parallelism.step_cost import parallelism_charts
from analysis.tables.attention_files import AttentionFile
from analysis.tables.evidence import Evidence

MOST_MAPS = 8  # sentences whose attention a report shows
# What to see, by the name of the figure or what its name begins with. Where the data say otherwise, they are right.
WHAT_TO_SEE = {
    "accuracy_by_position": "Where in the target a model fails: bright is right. A fixed context that overflows is "
    "bright at one end only, where its memory is fresh.",
    "accuracy_by_lag": "How long a model remembers: the lag at which each line leaves the top. Compare it with the "
    "effective horizon of its gradient.",
    "accuracy": "Lines that fall with the length belong to models that lose information; lines that stay at the top do "
    "not. Exact match falls first, because one wrong token is enough.",
    "bits": "Lines that leave the diagonal and level off have met a limit of so many bits, however long the source is.",
    "length_generalisation": "What happens to the right of the dashed line: lengths that were never trained on.",
    "capacity_by_size": "Whether a wider state carries more: a fixed context gains with its size.",
    "bleu_by_length": "Whether a line falls towards long sentences, and whether lines with attention fall less.",
    "length_ratio_by_length": "Whether long sentences are cut short, before their quality is judged.",
    "gradient_norm": "How steeply a line falls: a straight one loses the same share of the signal at every step.",
    "gradient_heatmap": "Bright bands that reach far up carry the signal far; watch whether training widens them.",
    "jacobian": "Below the dotted line a state forgets; the steeper the faster.",
    "training_norms": "Spikes are exploding gradients, and clipping is what holds them.",
    "remedies": "A remedy works where its line lies above the baseline, left in the gradient, right in what is learnt.",
    "step_time": "The slope: a straight line of slope 1 takes twice as long for twice the length. Where lines cross, "
    "another architecture becomes the cheaper one.",
    "throughput": "Lines that stay level cost the same for each token at any length.",
    "sequential_depth": "Recurrent models rise with the length, the transformer does not: this is what can and cannot "
    "be done at the same time, on any machine.",
    "share_of_peak": "How much of the machine an architecture keeps busy.",
    "memory": "What has to be kept for the backward pass. Attention has a weight for each pair of tokens, which "
    "a fused product, or one that is recomputed, need not keep.",
    "speedup": "How close a line comes to the dotted one, where nothing has to wait.",
    "alignment": "Dark cells along the diagonal are words translated, or symbols copied, one after the other; a "
    "reversal runs along the other diagonal. Compare short with long sources.",
    "heads": "What single heads look at: the diagonal, the word before, the end of the sentence.",
    "learning_curves": "Who learns at all, who learns first by steps, and who learns first by the clock: the order may "
    "change between the panels.",
}


class Gallery(NamedTuple):
    """The figures of a report by section, in the order they are shown, and a note where maps had to be left out."""

    bottleneck: list[Chart]
    text: list[Chart]
    gradients: list[Chart]
    parallelism: list[Chart]
    attention: list[Chart]
    learning: list[Chart]
    note: str

    def charts(self) -> Iterator[Chart]:
        """All figures."""
        for section in self[:-1]:
            yield from section


def draw(evidence: Evidence) -> Gallery:
    """Draw every figure that there are numbers for.

    Raises:
        ReportError: trials that cannot be compared though they look alike; the message names them.
    """
    results, trials = evidence.runs.results, evidence.runs.trials
    maps, note = _maps(evidence.attention)
    bottleneck = bottleneck_charts(results)
    capacity = capacity_figure(results, trials)
    if capacity is not None:
        bottleneck.insert(2 if len(bottleneck) > 1 else len(bottleneck), capacity)
    learning = learning_figure(evidence.curves, trials)
    return Gallery(
        bottleneck=bottleneck,
        text=by_length_charts(evidence.runs),
        gradients=gradient_charts(evidence.gradients, results),
        parallelism=parallelism_charts(evidence.parallelism),
        attention=maps,
        learning=[learning] if learning is not None else [],
        note=note,
    )


def what_to_see(name: str) -> str:
    """The sentence on what to see in a figure; the longest beginning of its name counts."""
    known = [start for start in WHAT_TO_SEE if name.startswith(start)]
    return WHAT_TO_SEE[max(known, key=len)] if known else ""


def spread_over_lengths(files: Sequence[AttentionFile], most: int = MOST_MAPS) -> list[int]:
    """Ids of sentences that most files have, from short sources to long ones, in this order."""
    having = {number: 0 for file in files for number in file.sentences}
    lengths = {}
    for file in files:
        for number, sentence in file.sentences.items():
            having[number] += 1
            lengths[number] = len(sentence.source)
    if not having:
        return []
    common = [number for number, count in having.items() if count == max(having.values())]
    ordered = sorted(common, key=lambda number: (lengths[number], number))
    if len(ordered) <= most:
        return ordered
    return [ordered[place * (len(ordered) - 1) // (most - 1)] for place in range(most)]


def _maps(files: Sequence[AttentionFile]) -> tuple[list[Chart], str]:
    """Attention maps of a few sentences, the shortest source first, and a note where they cannot be drawn together."""
    ids = spread_over_lengths(files)
    try:
        charts = list(alignment_charts(files, ids)) if ids else []
    except ReportError as error:
        return [], f"Attention maps are left out: {error}"
    # Every head of every sentence would be too many; those of one sentence show what heads do.
    shown = [chart for chart in charts if chart.name.startswith("alignment_")]
    shown += [chart for chart in charts if chart.name.startswith("heads_") and f"_{ids[len(ids) // 2]}" in chart.name]
    return shown, ""
