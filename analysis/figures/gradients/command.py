"""Gradient flow: how much of the learning signal reaches a source token, by its distance from the loss.

From folders that hold gradients.csv, and trials where there are some, to figures, tables and sentences:

    python -m analysis.figures.gradients.command RUNS... [--output DIR]
"""

import argparse
import sys
from pathlib import Path

from analysis.errors import ReportError
from analysis.figures.gradients.distance import gradient_norm_figure, jacobian_figure
from analysis.figures.gradients.recall import RECALL, accuracy_by_lag_figure
from analysis.figures.gradients.remedies import remedies_figure
from analysis.figures.gradients.training import gradient_heatmap_figure, training_norms_figure
from analysis.figures.length.accuracy import Chart
from analysis.figures.style import save_figure
from analysis.files import replacing
from analysis.report import markdown
from analysis.report.gradients import gradient_sections, summary
from analysis.tables.frames import Frame
from analysis.tables.line_names import gradients_and_results
from analysis.tables.wandb_mirror import local_folder


def gradient_charts(table: Frame, results: Frame | None = None) -> list[Chart]:
    """Every figure of gradient flow that there are numbers for; `results` is the tidy table of trials, if any."""
    charts = [
        gradient_norm_figure(table),
        gradient_heatmap_figure(table),
        jacobian_figure(table),
        None if results is None else accuracy_by_lag_figure(results, table),
        training_norms_figure(table),
        remedies_figure(table, results),
    ]
    return [chart for chart in charts if chart is not None]


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
    title = "# Gradient flow: what reaches a source token, by its distance from the loss"
    text = "\n\n".join([title, *gradient_sections(table, results, charts)]) + "\n"
    for chart in charts:
        save_figure(chart.figure, chart.points, folder / "figures", chart.name)
    with replacing(folder / "gradients.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return markdown.plain_table(*summary(table))


def main(arguments: list[str] | None = None) -> int:
    """Draw the figures of finished measurements; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.figures.gradients.command",
        description="Draw the figures of gradient flow from gradients.csv files: gradient norm and Jacobian against "
        "distance, maps over training, norms during training, remedies beside their baseline, and accuracy against "
        f"lag where trials on {RECALL} were run. Prints decay per step and effective horizon, and writes gradients.md.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUNS", help="a folder with gradients.csv, a sweep, or a folder of both"
    )
    parser.add_argument("--output", metavar="DIR", help="gradients.md and figures/ go to DIR (default: the first RUNS)")
    options = parser.parse_args(arguments)
    try:
        table, results = gradients_and_results(options.runs)
        if table.empty:
            raise ReportError(
                f"no gradients.csv with measurements in {', '.join(options.runs)}; run lengthwise gradients first"
            )
        folder = Path(options.output or local_folder(options.runs[0]))
        print(write_figures(table, folder, results))
        print(f"\ngradients: {folder / 'gradients.md'}")
    except (ReportError, OSError) as error:
        print(f"python -m analysis.figures.gradients.command: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
