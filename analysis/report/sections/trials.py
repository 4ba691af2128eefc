"""What was run, how it was learnt, and which trials have no results."""

from collections.abc import Iterator

import pandas as pd

from analysis.report.blocks import Block, Cell, Heading, Listing, Paragraph, Table, notes
from analysis.report.context import Report, Section
from analysis.report.sections.models import UNKNOWN, span, values
from analysis.statistics.summaries import BUDGET, CONVERGED, TASK, task_name
from analysis.statistics.words import listing

ONE_SEED = "One seed only: no interval can be given, and no verdict."
ONE_SEED_OF_TEXT = "One seed only: intervals of BLEU are over test sentences alone, and no verdict can be given."


def what_was_run(report: Report) -> Iterator[Block]:
    """Tasks, lengths, architectures, seeds, hardware and budget, and what the comparison has to live with."""
    yield from notes(report.evidence.notes)
    runs, trials = report.runs, report.runs.trials
    if trials.empty:
        return
    stopped = int((runs.failures["status"] == "stopped").sum())
    yield Heading("What was run")
    yield Listing([
        f"Tasks: {'; '.join(task_name(*task) for task, _ in trials.groupby(TASK))}",
        f"Source lengths in training: {values(trials['train_length'])} tokens{_ranges(trials)}",
        f"Architectures: {listing(report.architectures.names(trials['arch']).values())}",
        f"Seeds: {values(trials['seed'])}",
        f"Trials: {len(trials)} complete, {len(runs.failures) - stopped} failed or diverged, "
        f"{f'{stopped} stopped early by their sweep, ' if stopped else ''}{len(runs.unfinished)} unfinished",
        f"Training: {span(trials['steps'])} steps a trial, {_hours(trials['train_seconds'])} in all{_endings(trials)}",
        f"Device: {values(trials['device'])}; threads: {values(trials['threads'])}; "
        f"precision: {values(trials['precision'])}{', with TF32' * bool(trials['tf32'].any())}",
        f"Version: {values(trials['version'])}",
    ])  # fmt: skip
    yield from notes(_cautions(trials))


def learning_curves(report: Report) -> Iterator[Block]:
    """Accuracy or BLEU on validation by steps and by the clock."""
    figures = list(report.figures("learning"))
    if figures:
        yield Heading("Learning curves")
        yield from figures


def left_out(report: Report) -> Iterator[Block]:
    """Trials without results. They are in no mean, so that means over the others may look too good."""
    failures, unfinished = report.runs.failures, report.runs.unfinished
    yield Heading("Trials left out")
    if failures.empty and not unfinished:
        yield Paragraph("None: every trial found is complete.")
    if len(failures):
        columns = ["trial", "status", "step", "reason"]
        rows = failures.sort_values("trial")[columns].astype(object).to_numpy().tolist()
        yield Table([column.capitalize() for column in columns], [list(map(_whole, row)) for row in rows])
        yield Paragraph("No mean above contains them: what completed may look better than what was tried.")
    if unfinished:
        names = listing(folder.name for folder in unfinished)
        yield Paragraph(f"Unfinished (still running or interrupted): {names}")


def _cautions(trials: pd.DataFrame) -> list[str]:
    """What makes the comparison weaker than it looks."""
    on_text = trials["test_name"].notna()
    cautions = [
        caution
        for kind, caution in ((trials[~on_text], ONE_SEED), (trials[on_text], ONE_SEED_OF_TEXT))
        if len(kind["seed"].unique()) == 1
    ]
    cells = trials.groupby([*TASK, "train_length"])
    if trials[trials["ended"] != CONVERGED].groupby([*TASK, "train_length"])["steps"].nunique().max() > 1:
        cautions.append("Trials that are compared with each other had different numbers of training steps.")
    for column in ("device", "precision", "tf32", "version", "min_train_length"):
        if cells[column].nunique().max() > 1:
            cautions.append(f"Trials that are compared with each other differ in {column}.")
    return cautions


def _ranges(trials: pd.DataFrame) -> str:
    ranged = trials[trials["min_train_length"] < trials["train_length"]]
    if ranged.empty:
        return ""
    pairs = ranged[["min_train_length", "train_length"]].drop_duplicates().sort_values("train_length")
    spans = [f"{least} to {most}" for least, most in pairs.itertuples(index=False, name=None)]
    return f" (the greatest of a range: {listing(spans)})"


def _endings(trials: pd.DataFrame) -> str:
    """How many trials ended by themselves; empty where all did, or where none says."""
    stopped = int((trials["ended"] == BUDGET).sum())
    return f"; {stopped} of {len(trials)} used up their budget before they had converged" if stopped else ""


def _hours(seconds: pd.Series) -> str:
    return UNKNOWN if seconds.isna().all() else f"{seconds.sum() / 3600:.2f} hours"


def _whole(value: Cell) -> Cell:
    return int(value) if isinstance(value, float) and value.is_integer() else value


SECTIONS = (Section(20, what_was_run), Section(80, learning_curves), Section(100, left_out))
