"""The figure of bits recovered against bits presented."""

import pandas as pd

from analysis.figures.chart import Chart
from analysis.figures.lines import each_line, error_bars, from_middle, spread_phrase
from analysis.figures.panels import columns_by_task, label_leftmost, legend, title, wrapped_panels
from analysis.figures.registry import register
from analysis.figures.style import guide, styles, styles_of
from analysis.statistics.summaries import SETTING, STOPPED, by_setting, over_seeds, within_training
from analysis.tables.architectures import Architectures

DIAGONAL = guide("everything recovered")


@register(
    "bits", "bottleneck", 2,
    "Lines that leave the diagonal and level off have met a limit of so many bits, however long the source is.",
)  # fmt: skip
def bits_figure(results: pd.DataFrame, architectures: Architectures) -> Chart | None:
    """Bits recovered against bits presented; a fixed context saturates, the diagonal loses nothing."""
    points = bits_points(results)
    if points.empty:
        return None
    looks = styles(results["arch"], architectures)
    settings = by_setting(points)
    columns = columns_by_task(settings)
    figure, cells = wrapped_panels(settings, columns, height=2.7 if columns == 2 else 2.3)
    for axes, (setting, shown) in cells:
        most = shown["bits_presented"].max()
        axes.plot([0, most], [0, most], **DIAGONAL)
        lines = list(each_line(shown, "arch", looks))
        for place, (name, line) in zip(from_middle(len(lines)), lines, strict=True):
            # Smaller markers on top, so that equal lines do not hide each other.
            size = max(2.5, 4.5 - 0.6 * place)
            error_bars(axes, line, "bits_presented", markersize=size, **looks[name].of_line())
        axes.set_xlim(0, 1.05 * most)
        axes.set_ylim(min(0, 1.05 * shown["mean"].min()), 1.08 * most)
        axes.set_xlabel("Bits presented (a sequence)")
        label_leftmost(axes, "Bits recovered (a sequence)")
        axes.grid(True)
        title(axes, str(setting))
    legend(figure, styles_of(looks, points["arch"]), [DIAGONAL], columns=2 * min(2, len(settings)))
    caption = (
        "Bits recovered of the bits presented: the information in the target less the teacher-forced "
        "cross-entropy of its tokens, a lower bound on what passed from source to target. On the dotted line "
        f"nothing is lost; a line that levels off has met a limit, of the context or of training. Models that recover "
        f"everything lie on top of each other. {spread_phrase(points, 'values of one seed').capitalize()}."
    )
    return Chart("bits", figure, points, caption)


def bits_points(results: pd.DataFrame) -> pd.DataFrame:
    """Bits a sequence at lengths in training: columns `SETTING`, arch, length, bits_presented, mean … seeds."""
    by = [*SETTING, "arch", "length"]
    columns = [*by, "bits_presented", "mean", "low", "high", "seeds", STOPPED]
    recovered = within_training(results, "bits_recovered")
    if recovered.empty:
        return pd.DataFrame(columns=columns)
    presented = within_training(results, "bits_presented").groupby(by)["value"].mean()
    points = over_seeds(recovered, by).merge(presented.rename("bits_presented").reset_index(), on=by)
    return points[columns]
