"""Figures of gradient flow: how much of the learning signal reaches a source token, by its distance from the loss.

Each function takes the table of `read_gradients` and returns a Chart, or None where the table lacks what it shows.
Alone, on folders that hold gradients.csv:

    python -m analysis.gradients RUNS... [--output DIR]
"""

import argparse
import math
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, ScalarFormatter
from matplotlib.transforms import ScaledTranslation

from analysis import markdown
from analysis.bottleneck import GUIDE, Chart, is_leftmost, panels, use
from analysis.errors import ReportError
from analysis.files import replacing
from analysis.frames import Column, Frame
from analysis.gradient_fits import (
    EMBEDDING_GRADIENT,
    FLOAT_FLOOR,
    HORIZON_SHARE,
    JACOBIAN,
    LEAST_R_SQUARED,
    LINE,
    WHEN,
    Fit,
    Horizon,
    Statement,
    changes,
    curves,
    fits,
    r_squared_text,
    read_gradients,
    statements,
)
from analysis.load_runs import find_trials, load_runs
from analysis.statistics import mean_interval
from analysis.style import COLUMN_WIDTH, TEXT_WIDTH, Style, paper_style, save_figure, styles
from analysis.summaries import PROPORTION, SETTING, measured, over_seeds, seeds_phrase, setting_name
from analysis.variants import tell_variants_apart

RECALL = "first-token-recall"
WIDTHS = {1: COLUMN_WIDTH, 2: TEXT_WIDTH}  # of a figure with so many panels in a row
MOST_ROWS = 2  # of panels in a figure that shows every length
LEAST_SHOWN = 1e-10  # norms below it, relative to the greatest, leave the figure; else one RNN would flatten the rest
MARKERS = 7  # along a line
APART = 2.5  # points of paper between lines at the same lag
MAP_COLUMNS = 4
MAP_DECADES = 8.0
ONE_PERCENT = {**GUIDE, "linestyle": ":", "label": "1%"}
UNCHANGED = {**GUIDE, "linestyle": ":", "label": "no change in size"}
CHANCE = {**GUIDE, "linestyle": ":", "label": "chance"}
HORIZON = {"color": "#707070", "linestyle": "", "marker": "o", "markerfacecolor": "white", "label": "effective horizon"}


def gradient_charts(table: Frame, results: Frame | None = None) -> list[Chart]:
    """Every figure of this module that there are numbers for; `results` is the tidy table of trials, if any."""
    charts = [
        gradient_norm_figure(table),
        gradient_heatmap_figure(table),
        jacobian_figure(table),
        None if results is None else accuracy_by_lag_figure(results, table),
        training_norms_figure(table),
    ]
    return [chart for chart in charts if chart is not None]


def gradient_norm_figure(table: Frame) -> Chart | None:
    """Gradient norm at the embeddings against distance, relative to that at the least distance."""
    rows = _lengths_shown(_ends(curves(table, EMBEDDING_GRADIENT)))
    points = over_log_seeds(_relative(rows), [*LINE, "name", "phase", "distance"])
    if points.empty:
        return None
    figure = _curve_figure(points, "Gradient norm (relative)", HORIZON_SHARE, ONE_PERCENT)
    caption = (
        "Norm of the gradient of the loss at one target position with respect to the embedding of a source token, "
        f"against the token's distance from the loss, relative to that at distance {points['distance'].min():.0f}. "
        f"A straight line is an exponential decay. {_log_spread(points)}. {_cut(points)}"
    )
    return Chart("gradient_norm", figure, points, caption.strip())


def jacobian_figure(table: Frame) -> Chart | None:
    """Largest singular value of the state's derivative against distance, recurrent encoders only."""
    rows = _lengths_shown(_ends(curves(table, JACOBIAN)))
    points = over_log_seeds(rows, [*LINE, "name", "phase", "distance"])
    if points.empty:
        return None
    figure = _curve_figure(points, "Largest singular value", 1.0, UNCHANGED)
    caption = (
        "Largest singular value of the derivative of the encoder's last state with respect to an earlier one, "
        "against the number of steps between them (Pascanu et al. 2013); recurrent encoders only. Below the dotted "
        f"line every change of the earlier state arrives smaller than it was. {_log_spread(points)}. {_cut(points)}"
    )
    return Chart("jacobian", figure, points, caption.strip())


def gradient_heatmap_figure(table: Frame) -> Chart | None:
    """Maps of log10 gradient norm over training step and distance, a panel for each line."""
    points = _map_points(table)
    if points.empty:
        return None
    tasks = list(points["task"].unique())
    keys = [(task, name) for task in tasks for name in styles(points[points["task"] == task]["name"])]
    most = points["log10_norm"].max()
    least = max(points["log10_norm"].min(), most - MAP_DECADES)
    with paper_style():
        columns = min(MAP_COLUMNS, len(keys))
        rows = -(-len(keys) // columns)
        figure, grid = panels(rows, columns, height=1.45, width=TEXT_WIDTH if columns > 1 else COLUMN_WIDTH)
        looks = styles(points["name"])
        shown = use(grid, len(keys))
        image = None
        for place, (axes, (task, name)) in enumerate(zip(shown, keys, strict=True)):
            own = points[(points["task"] == task) & (points["name"] == name)]
            image = _draw_map(axes, own, least, most)
            title = _wrapped(looks[name].name)
            axes.set_title(title if len(tasks) == 1 else f"{title}\n{task}", loc="left")
            axes.set_xlabel("Training step" if place + columns >= len(keys) else "")
            axes.set_ylabel("Distance" if is_leftmost(axes) else "")
        assert image is not None
        cut = points["log10_norm"].min() < least
        figure.colorbar(
            image, ax=shown, label="log10 gradient norm", extend="min" if cut else "neither", pad=0.01, aspect=30
        )
    caption = (
        "Norm of the gradient that reaches a source token, by training step and the token's distance from the loss "
        f"(colour: log10 of the geometric mean over {seeds_phrase(points)}), {_lengths_phrase(points)}."
    )
    return Chart("gradient_heatmap", figure, points, caption)


def accuracy_by_lag_figure(results: Frame, table: Frame) -> Chart | None:
    """Accuracy of recalling the first source token against how many tokens follow it, a panel a vocabulary."""
    points = _lag_points(results)
    if points.empty:
        return None
    points["trained_horizon_lag"] = points["arch"].map(_trained_horizons(table)).astype(float)
    looks = styles(points["arch"])
    settings = list(points[SETTING].drop_duplicates().itertuples(index=False, name=None))
    with paper_style():
        columns = min(2, len(settings))
        figure, grid = panels(-(-len(settings) // columns), columns, height=2.2, width=WIDTHS[columns])
        for axes, (task, vocabulary) in zip(use(grid, len(settings)), settings, strict=True):
            own = points[points["vocabulary"] == vocabulary]
            axes.axhline(1 / vocabulary, **CHANCE)
            _draw_lags(axes, own, looks)
            axes.set_title(setting_name(task, vocabulary), loc="left")
        guides = [CHANCE, HORIZON] if points["trained_horizon_lag"].notna().any() else [CHANCE]
        _legend(figure, looks, guides)
    spread = "one seed, so without intervals" if points["seeds"].max() == 1 else "means with 95% t intervals over seeds"
    caption = (
        "Greedy accuracy of naming the first source token against the lag, the number of tokens that follow it; "
        f"{spread} ({seeds_phrase(points)}), cut at 0 and 1. Models trained at several lengths are tested at their "
        "own. An open marker on the axis is the effective horizon after training, the lag at which the gradient has "
        "fallen to 1% of that of the last token; lines without one stay above 1% or were not measured. "
        "Points of one lag are drawn side by side."
    )
    return Chart("accuracy_by_lag", figure, points, caption)


def training_norms_figure(table: Frame) -> Chart | None:
    """Total gradient norm over training and the share of clipped steps."""
    by = [*LINE, "name", "quantity", "step"]
    norms, clipped = (
        _longest(curves(table, quantity)).drop_duplicates([*by, "seed"], keep="last")
        for quantity in ("gradient_norm", "clipped")
    )
    norms, clipped = over_log_seeds(norms, by), _over_seeds(clipped, by, PROPORTION)
    kinds = [(norms, "Gradient norm before clipping"), (clipped, "Share of steps clipped")]
    kinds = [(points, label) for points, label in kinds if len(points)]
    if not kinds:
        return None
    points = pd.concat([own for own, _ in kinds], ignore_index=True)
    looks = styles(points["name"])
    tasks = list(points["task"].unique())
    with paper_style():
        figure, grid = panels(len(tasks), len(kinds), height=2.1, width=WIDTHS[len(kinds)])
        for task, row in zip(tasks, grid, strict=True):
            for axes, (own, label) in zip(row, kinds, strict=True):
                shown = own[own["task"] == task]
                if shown.empty:
                    axes.set_visible(False)
                    continue
                if own is norms:
                    _norm_axis(axes)
                else:
                    axes.set_ylim(-0.03, 1.03)
                _draw_curves(axes, shown, "step", looks)
                axes.set_xlabel("Training step")
                axes.set_ylabel(label)
                axes.set_title(f"{task}, length {shown['length'].max()}", loc="left")
        _legend(figure, looks)
    one_seed = " With one seed the band of the norm runs from its least to its greatest since the point before."
    caption = (
        "Norm of the gradient over all parameters before clipping, averaged over the steps since the point before, "
        f"and the share of steps whose norm was clipped. {_log_spread(points, one_seed)}; shares have arithmetic means."
    )
    return Chart("training_norms", figure, points, caption)


def _norm_axis(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda norm, _: f"{norm:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _ends(rows: Frame) -> Frame:
    return rows[rows["phase"] != "training"]


def _longest(rows: Frame) -> Frame:
    return rows[rows["length"] == rows.groupby("task")["length"].transform("max")]


def _lengths_shown(rows: Frame) -> Frame:
    """Every length where they are few, otherwise the greatest of each task."""
    return rows if len(rows[["task", "length"]].drop_duplicates()) <= MOST_ROWS else _longest(rows)


def _relative(rows: Frame) -> Frame:
    """Norms relative to that at the least distance of their seed; a seed without any signal there is left out."""
    rows = rows.sort_values("distance")
    nearest = rows.groupby([*LINE, "seed", "phase"])["mean"].transform("first")
    relative = rows.assign(**{column: rows[column] / nearest for column in ("mean", "low", "high")})
    return relative[nearest > FLOAT_FLOOR]


def over_log_seeds(rows: Frame, by: list[str]) -> Frame:
    """Geometric mean over seeds with its 95% t interval: columns `by`, mean, low, high, seeds.

    With one seed low and high are those of its row: quartiles over sequences for norms by distance.
    """
    logarithms = rows.assign(mean=np.log(np.maximum(rows["mean"].astype(float), np.finfo(float).tiny)))
    points = _over_seeds(logarithms, by)
    several = points["seeds"] > 1
    points["mean"] = np.exp(points["mean"])
    points.loc[several, ["low", "high"]] = np.exp(np.minimum(points.loc[several, ["low", "high"]], 700.0))
    return points


def _over_seeds(rows: Frame, by: list[str], bounds: tuple[float, float] = (-math.inf, math.inf)) -> Frame:
    """Mean over seeds with its 95% t interval cut at the bounds; with one seed low and high are those of its row."""
    points = []
    for key, group in rows.groupby(by):
        if len(group) == 1:
            points.append([*key, *group[["mean", "low", "high"]].iloc[0], 1])
        else:
            points.append([*key, *mean_interval(group["mean"].to_numpy(float)).clipped(*bounds)])
    return pd.DataFrame(points, columns=[*by, "mean", "low", "high", "seeds"])


def _map_points(table: Frame) -> Frame:
    """log10 norms of lines that were measured during training, at the greatest length of each task."""
    rows = _longest(curves(table, EMBEDDING_GRADIENT))
    trained = rows.groupby([*LINE])["phase"].transform(lambda phases: "training" in set(phases))
    rows = rows[trained.astype(bool)].drop_duplicates([*LINE, "seed", "step", "distance"], keep="last")
    rows = rows.assign(log10_norm=np.log10(rows["mean"].astype(float)))
    by = [*LINE, "name", "step", "distance"]
    points = rows.groupby(by, as_index=False).agg(log10_norm=("log10_norm", "mean"), seeds=("seed", "nunique"))
    enough = points.groupby("name")[["step", "distance"]].transform("nunique").min(axis=1) > 1
    return points[enough].reset_index(drop=True)


def _draw_map(axes: Axes, points: Frame, least: float, most: float) -> Any:
    grid = points.pivot_table(index="distance", columns="step", values="log10_norm")
    image = axes.pcolormesh(
        grid.columns.to_numpy(float), grid.index.to_numpy(float), grid.to_numpy(),
        shading="nearest", cmap="cividis", vmin=least, vmax=most, rasterized=True,
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return image


def _lag_points(results: Frame) -> Frame:
    rows = measured(results, "greedy_token_accuracy")
    rows = rows[rows["task"] == RECALL]
    several = rows.groupby(SETTING)["train_length"].transform("nunique") > 1
    rows = rows[~several | (rows["eval_length"] == rows["train_length"])]
    rows = rows.assign(lag=rows["eval_length"] - 1)
    return over_seeds(rows, [*SETTING, "train_length", "arch", "lag"], PROPORTION)


def _trained_horizons(table: Frame) -> dict[str, float]:
    """Effective horizon after training, as a lag, of the lines that have one; the greatest length counts."""
    found = sorted((fit for fit in fits(table) if fit.task == RECALL), key=lambda fit: fit.length)
    # The token at distance d is followed by d - 1 others; a logarithmic axis begins at 1.
    return {
        fit.name: max(fit.horizon.reached.mean - 1, 1.0)
        for fit in found
        if fit.phase == "trained" and fit.horizon.reached
    }


def _draw_lags(axes: Axes, points: Frame, looks: dict[str, Style]) -> None:
    lines = list(_by_line(points, "arch", looks))
    for place, (name, own) in enumerate(lines):
        own = own.sort_values("lag")
        # Apart on paper, while the data stay as they are, so that equal lines do not hide each other.
        shift = ScaledTranslation((place - (len(lines) - 1) / 2) * APART / 72, 0, axes.figure.dpi_scale_trans)
        axes.errorbar(
            own["lag"], own["mean"], yerr=[own["mean"] - own["low"], own["high"] - own["mean"]],
            elinewidth=0.8, markeredgewidth=0, transform=axes.transData + shift, **looks[name].of_line(),
        )  # fmt: skip
        axes.plot(
            own["trained_horizon_lag"].iloc[:1], [-0.05], marker=looks[name].marker, color=looks[name].color,
            markerfacecolor="white", markersize=4.5, markeredgewidth=0.9, clip_on=False, zorder=5,
        )  # fmt: skip
    axes.set_ylim(-0.05, 1.03)
    axes.set_xscale("log", base=2)
    marked: Column = pd.concat([points["lag"], points["trained_horizon_lag"]]).dropna().clip(lower=1)
    least, most = marked.min(), marked.max()
    margin = (most / least) ** 0.09 if most > least else 2
    axes.set_xlim(least / margin, most * margin)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_major_locator(FixedLocator(sorted(points["lag"].unique())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Lag (tokens)")
    axes.set_ylabel("Greedy token accuracy" if is_leftmost(axes) else "")
    axes.grid(True, axis="y")


def _curve_figure(points: Frame, label: str, level: float, guide: dict[str, Any]) -> Figure:
    """Curves against distance, a row of panels for each task and length and a panel for each phase."""
    looks = styles(points["name"])
    phases = [phase for phase in WHEN if phase in set(points["phase"])]
    groups = list(points[["task", "length"]].drop_duplicates().itertuples(index=False, name=None))
    most = max(points["mean"].max(), level)
    least = max(min(points["mean"].min(), level / 10), LEAST_SHOWN * most)
    with paper_style():
        figure, grid = panels(len(groups), len(phases), height=2.3, width=WIDTHS[len(phases)])
        for (task, length), row in zip(groups, grid, strict=True):
            for axes, phase in zip(row, phases, strict=True):
                shown = points[(points["task"] == task) & (points["length"] == length) & (points["phase"] == phase)]
                if shown.empty:
                    axes.set_visible(False)
                    continue
                axes.set_yscale("log")
                axes.set_ylim(0.5 * least, 4 * most)
                axes.axhline(level, **guide)
                _draw_curves(axes, shown, "distance", looks)
                axes.set_xlabel("Distance from the loss (steps)")
                axes.set_ylabel(label if is_leftmost(axes) else "")
                axes.yaxis.set_major_locator(LogLocator(numticks=7))
                axes.yaxis.set_minor_locator(NullLocator())
                axes.set_title(f"{task}, length {length}, {WHEN[phase]}", loc="left")
        _legend(figure, looks, [guide])
    return figure


def _draw_curves(axes: Axes, points: Frame, x: str, looks: dict[str, Style]) -> None:
    """A line with a band for each name; markers of neighbouring lines stand at different places."""
    names = list(_by_line(points, "name", looks))
    for place, (name, own) in enumerate(names):
        own = own.sort_values(x)
        every = max(1, len(own) // MARKERS)
        axes.fill_between(own[x], own["low"], own["high"], color=looks[name].color, alpha=0.12, linewidth=0)
        axes.plot(
            own[x], own["mean"], markevery=(place * every // len(names), every), markeredgewidth=0,
            **looks[name].of_line(),
        )  # fmt: skip
    axes.grid(True, axis="y")


def _by_line(points: Frame, column: str, looks: dict[str, Style]) -> Iterator[tuple[str, Frame]]:
    for name in looks:
        own = points[points[column] == name]
        if len(own):
            yield name, own


def _legend(figure: Figure, looks: dict[str, Style], guides: list[dict[str, Any]] | None = None) -> None:
    """A legend below the panels, which keep their height."""
    handles = [Line2D([], [], markeredgewidth=0, **look.of_line()) for look in looks.values()]
    handles += [Line2D([], [], **guide) for guide in guides or []]
    labels = [_wrapped(str(handle.get_label())) for handle in handles]
    longest = max(len(line) for label in labels for line in label.splitlines())
    # Inches of an entry and of the space behind it, and of a line of text, at the size of legends.
    columns = max(1, min(4, int((figure.get_figwidth() + 0.2) / (0.63 + 0.0575 * longest))))
    lines = -(-sum(label.count("\n") + 1 for label in labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.16 * max(0, lines - 2))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3)


def _wrapped(name: str) -> str:
    return textwrap.fill(name, 24, break_long_words=False)


def _log_spread(points: Frame, one_seed: str = " With one seed the band shows quartiles over sequences.") -> str:
    """What lines and bands are; the sentences end without a full stop."""
    least, most = points["seeds"].min(), points["seeds"].max()
    if most == 1:
        return f"One seed, so no interval over seeds.{one_seed}".rstrip(".")
    spread = f"Geometric means over {seeds_phrase(points)}; bands are 95% t intervals over seeds"
    return spread if least > 1 else f"{spread}.{one_seed}".rstrip(".")


def _cut(points: Frame) -> str:
    if points["mean"].min() >= LEAST_SHOWN * points["mean"].max():
        return ""
    return "Lines that reach the lower edge go on below it; the CSV has all of their points."


def _lengths_phrase(points: Frame) -> str:
    return "; ".join(
        f"{task}, length {length}"
        for task, length in points[["task", "length"]].drop_duplicates().itertuples(index=False, name=None)
    )


def write_figures(table: Frame, folder: Path, results: Frame | None = None) -> str:
    """Write figures/ (PNG, PDF and the CSV of exactly the points) and gradients.md into a folder.

    Args:
        table: as `read_gradients` returns it.
        folder: where to.
        results: the tidy table of finished trials, for accuracy against lag.

    Returns:
        Decay per step and effective horizon as a plain-text table.

    Raises:
        OSError: the folder cannot be written.
    """
    charts = gradient_charts(table, results)
    found = fits(table)
    for chart in charts:
        save_figure(chart.figure, chart.points, folder / "figures", chart.name)
    with replacing(folder / "gradients.md") as temporary:
        temporary.write_text(_compose(table, found, charts), encoding="utf-8")
    return markdown.plain_table(*_summary(table))


def _compose(table: Frame, found: list[Fit], charts: list[Chart]) -> str:
    """The text of gradients.md."""
    sections = ["# Gradient flow: what reaches a source token, by its distance from the loss"]
    if found:
        sections += ["## What textbooks say", _said(statements(found)), "## Decay and horizon", _definitions(found)]
        sections.append(markdown.table(*_summary(table)))
        sections.append(markdown.table(*_details(found)))
    sections += ["## Figures", *map(_figure, charts)] if charts else []
    return "\n\n".join(sections) + "\n"


def _said(said: list[Statement]) -> str:
    return "\n".join(f"- {one.claim} ({one.where}): **{one.verdict}**: {one.reason}." for one in said)


def _definitions(found: list[Fit]) -> str:
    floored = sum(fit.at_floor for fit in found)
    return (
        "Decay per step is exp of the slope of log norm against distance, by ordinary least squares for each seed; its "
        "interval is the 95% t interval of the slopes over seeds. The effective horizon is the smallest distance at "
        "which the norm has fallen to 1% of that at the least distance, with its interval over seeds; `> n`: it does "
        f"not within the n steps measured. A decay is called exponential where R² of this fit is at least "
        f"{LEAST_R_SQUARED} in every seed and the interval of decay lies below 1. With one seed there is no interval, "
        f"so nothing is decided. Norms at the float floor (at or below {FLOAT_FLOOR:.0e}) are left out of fits: "
        f"{floored} in all."
    )


def _summary(table: Frame) -> tuple[list[str], list[list[str]]]:
    """Header and rows: decay and horizon of each line at initialisation and after training side by side."""
    lines = changes(table)
    looks = styles([change.name for change in lines])
    phases = [phase for phase in WHEN if any(getattr(change, phase) for change in lines)]
    header = ["architecture", "task", "length"]
    header += [f"{what} {WHEN[phase]}" for phase in phases for what in ("decay", "horizon")]
    rows = []
    for change in lines:
        own = [getattr(change, phase) for phase in phases]
        numbers = [cell for fit in own for cell in _decay_and_horizon(fit)]
        rows.append([looks[change.name].name, change.task, str(change.length), *numbers])
    return header, rows


def _decay_and_horizon(fit: Fit | None) -> list[str]:
    return ["-", "-"] if fit is None else [markdown.interval(fit.decay), horizon_text(fit.horizon)]


def horizon_text(horizon: Horizon) -> str:
    """`12.5 [11.0, 14.0]`, `> 100`, `> 100 in 1 of 3 seeds`, or `-` without any signal."""
    if horizon.reached is not None or not horizon.seeds:
        return markdown.interval(horizon.reached, 1)
    some = f" in {horizon.beyond} of {horizon.seeds} seeds" if horizon.beyond < horizon.seeds else ""
    return f"> {horizon.furthest}{some}"


def _details(found: list[Fit]) -> tuple[list[str], list[list[object]]]:
    """Header and rows: how well an exponential fits each line of each phase."""
    looks = styles([fit.name for fit in found])
    said = {True: "yes", False: "no", None: "cannot be told"}
    header = ["architecture", "task", "length", "phase", "n (seeds)", "R²", "exponential", "at float floor"]
    rows: list[list[object]] = [
        [looks[fit.name].name, fit.task, fit.length, WHEN[fit.phase], fit.decay.count if fit.decay else 0,
         r_squared_text(fit), said[fit.exponential], fit.at_floor]
        for fit in found
    ]  # fmt: skip
    return header, rows


def _figure(chart: Chart) -> str:
    link = f"figures/{chart.name}"
    title = chart.name.replace("_", " ")
    return f"![{title}]({link}.png)\n\n*{chart.caption}* [PDF]({link}.pdf), [points]({link}.csv)"


def main(arguments: list[str] | None = None) -> int:
    """Draw the figures of finished measurements; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.gradients",
        description="Draw the figures of gradient flow from gradients.csv files: gradient norm and Jacobian against "
        "distance, maps over training, norms during training, and accuracy against lag where trials on "
        f"{RECALL} were run. Prints decay per step and effective horizon, and writes gradients.md.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUNS", help="a folder with gradients.csv, a sweep, or a folder of both"
    )
    parser.add_argument("--output", metavar="DIR", help="gradients.md and figures/ go to DIR (default: the first RUNS)")
    options = parser.parse_args(arguments)
    try:
        table, results = read_gradients(options.runs), _results(options.runs)
        if table.empty and (results is None or _lag_points(results).empty):
            raise ReportError(
                f"no gradients.csv with measurements in {', '.join(options.runs)}; run lengthwise gradients first"
            )
        folder = Path(options.output or options.runs[0])
        print(write_figures(table, folder, results))
        print(f"\ngradients: {folder / 'gradients.md'}")
    except (ReportError, OSError) as error:
        print(f"python -m analysis.gradients: error: {error}", file=sys.stderr)
        return 2
    return 0


def _results(paths: list[str]) -> Frame | None:
    """The tidy table of the complete trials among the folders; None without any."""
    if not any((folder / "summary.json").is_file() for folder in find_trials(paths)):
        return None
    return tell_variants_apart(load_runs(paths)).results


if __name__ == "__main__":
    sys.exit(main())
