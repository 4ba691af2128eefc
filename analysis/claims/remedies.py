"""Whether a remedy helps: the gradient and the accuracy of each variant of an architecture beside its baseline's.

A variant is an architecture with options other than its defaults, such as `recurrent_init=identity`; the baseline has
none. Only architectures of which there are several lines appear.
"""

from typing import NamedTuple

import pandas as pd

from analysis.statistics.gradient_fits import WHEN, Fit, fits
from analysis.statistics.gradient_norms import lag_points, over_log_seeds, relative
from analysis.statistics.intervals import MeanInterval, lies_above
from analysis.statistics.summaries import interval_of, without_stopped
from analysis.tables.architectures import Architectures, class_of, options_of
from analysis.tables.gradient_tables import LINE, curves, ends
from analysis.tables.schema import EMBEDDING_GRADIENT

BASELINE = "baseline"
LAG_COLUMNS = ["arch", "task", "vocabulary", "lag", "mean", "low", "high", "seeds"]


class Remedy(NamedTuple):
    """What a variant does to gradient and accuracy; `variant` is empty for the baseline.

    Attributes:
        initial: decay and horizon at initialisation, trained: after training; None where not measured.
        slower: whether the gradient decays slower than the baseline's, after training where both were measured then;
            None where that cannot be told.
        accuracy: of recalling the first source token at the greatest lag that several variants were tested at.
        better: whether accuracy is higher than the baseline's, of trials that had converged; None where that cannot
            be told.
    """

    arch: str
    variant: str
    task: str
    length: int
    initial: Fit | None
    trained: Fit | None
    slower: bool | None
    accuracy: MeanInterval | None
    better: bool | None


def remedies(table: pd.DataFrame, results: pd.DataFrame | None, architectures: Architectures) -> list[Remedy]:
    """Every line of the figure, the baseline first, at the greatest length that several variants were measured at.

    Two decays or accuracies differ where their 95% intervals over seeds do not overlap.
    """
    norms, lags = remedy_norms(table), remedy_lags(table, results)
    counted = remedy_lags(table, None if results is None else without_stopped(results))
    fitted = {(fit.task, fit.arch, fit.length, fit.variant, fit.phase): fit for fit in fits(table, architectures)}
    order = list(architectures.names(norms["arch"]))
    lines = norms[["task", "arch", "length", "variant"]].drop_duplicates()
    lines = lines.sort_values("arch", key=lambda archs: archs.map(order.index), kind="stable")
    remedied = []
    for task, arch, length, variant in lines.itertuples(index=False, name=None):
        phases, baseline = (
            [fitted.get((task, arch, length, which, phase)) for phase in WHEN] for which in (variant, "")
        )
        recalled, judged = (_recalled(of[(of["arch"] == arch) & (of["task"] == task)]) for of in (lags, counted))
        remedied.append(
            Remedy(
                arch, variant, task, int(length), *phases,
                slower=_slower(phases, baseline) if variant else None,
                accuracy=recalled.get(variant),
                better=lies_above(judged.get(variant), judged.get("")) if variant else None,
            )
        )  # fmt: skip
    return remedied


def variant_label(variant: str) -> str:
    """How legends and tables call a variant."""
    return variant or BASELINE


def _slower(phases: list[Fit | None], baseline: list[Fit | None]) -> bool | None:
    """Whether the gradient decays slower than the baseline's in the last phase that both were measured in."""
    both = [(fit, than) for fit, than in zip(phases, baseline, strict=True) if fit and than]
    if not both:
        return None
    fit, than = both[-1]
    return lies_above(fit.decay, than.decay)


def _recalled(lags: pd.DataFrame) -> dict[str, MeanInterval]:
    """Accuracy of each variant of an architecture at the greatest lag that several were tested at."""
    several = lags[lags.groupby("lag")["variant"].transform("nunique") > 1]
    at_greatest = several[several["lag"] == several["lag"].max()]
    return {row["variant"]: interval_of(row) for _, row in at_greatest.iterrows()}


def remedy_norms(table: pd.DataFrame) -> pd.DataFrame:
    """Relative norms of architectures of which several variants were measured, at the greatest such length."""
    rows = ends(curves(table, EMBEDDING_GRADIENT))
    rows = rows[rows.groupby(["task", "arch", "length"])["variant"].transform("nunique") > 1]
    rows = rows[rows["length"] == rows.groupby(["task", "arch"])["length"].transform("max")]
    # A source that is read backwards has its greatest norm at its greatest distance.
    return over_log_seeds(relative(rows, "max"), [*LINE, "phase", "distance"])


def remedy_lags(table: pd.DataFrame, results: pd.DataFrame | None) -> pd.DataFrame:
    """Accuracy by lag of the same architectures, with their `variant`, at the greatest vocabulary."""
    points: pd.DataFrame = pd.DataFrame(columns=LAG_COLUMNS) if results is None else lag_points(results)
    points = points.assign(arch=points["arch"].map(class_of), variant=points["arch"].map(options_of))
    points = points[points["arch"].isin(remedy_norms(table)["arch"])]
    points = points[points["vocabulary"] == points["vocabulary"].max()]
    return points[points.groupby("arch")["variant"].transform("nunique") > 1].reset_index(drop=True)
