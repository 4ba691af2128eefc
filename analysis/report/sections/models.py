"""The models: their sizes and options, and whether those that are compared match."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from analysis.report.blocks import Block, Heading, Listing, Paragraph, Table
from analysis.report.context import Section
from analysis.statistics.summaries import TASK, task_name
from analysis.statistics.words import listing
from analysis.tables.trial_folders import Runs

UNKNOWN = "not known"
SIZES = ("hidden_size", "source_vocab_size", "target_vocab_size")
MATCHED = 1.10  # largest over smallest parameter count that still counts as a fair comparison


def models(runs: Runs) -> Iterator[Block]:
    """Sizes of the models, whether they match where they are compared, and their options."""
    if runs.trials.empty:
        return
    yield Heading("Models")
    yield _sizes(runs)
    yield Listing(list(_matches(runs.trials)))
    options = {arch: _options(trials["model"]) for arch, trials in runs.trials.groupby("arch")}
    common = set.intersection(*(set(stated.items()) for stated in options.values()))
    if common:
        yield Paragraph(f"Options that all share: `{', '.join(sorted(f'{key}={value}' for key, value in common))}`")
    items = []
    for arch, name in runs.architectures.names(runs.trials["arch"]).items():
        stated = [f"{key}={value}" for key, value in options[arch].items() if (key, value) not in common]
        stated += _differing(runs.trials[runs.trials["arch"] == arch]["model"])
        if stated:
            items.append(f"{name}: `{', '.join(stated)}`")
    if items:
        yield Paragraph("Options of each, other than its size (`or`: trials differ):")
        yield Listing(items)
    if not any(options.values()):
        yield Paragraph(f"Options: {UNKNOWN}.")


def _sizes(runs: Runs) -> Table:
    rows = []
    for arch, name in runs.architectures.names(runs.trials["arch"]).items():
        trials = runs.trials[runs.trials["arch"] == arch]
        hidden = "-" if trials["hidden_size"].isna().all() else values(trials["hidden_size"])
        rows.append((name, hidden, span(trials["num_params"]), len(trials)))
    return Table(("Architecture", "Hidden size", "Parameters", "Trials"), rows)


def _matches(trials: pd.DataFrame) -> Iterator[str]:
    """How models match, each answer with the lengths of a task that it holds for."""
    lengths: dict[tuple[str, str], list[Any]] = {}
    for (task, vocabulary, length), group in trials.groupby([*TASK, "train_length"]):
        lengths.setdefault((task_name(task, vocabulary), matching(group)), []).append(length)
    return (f"{setting}, length {listing(those)}: {match}" for (setting, match), those in lengths.items())


def _options(models: Iterable[dict]) -> dict[str, str]:
    """The options that all models of an architecture have in common, but for its sizes, which stand apart."""
    first, *others = models
    shared = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    return {key: json.dumps(value) for key, value in shared.items() if key not in SIZES}


def _differing(models: Iterable[dict]) -> Iterator[str]:
    """The options in which models of an architecture differ, with every value: `cell="gru" or "lstm"`."""
    for key in dict.fromkeys(key for model in models for key in model):
        stated = sorted({json.dumps(model.get(key)) for model in models})
        if key not in SIZES and len(stated) > 1:
            yield f"{key}={' or '.join(stated)}"


def matching(trials: pd.DataFrame) -> str:
    """How the sizes of models compared with each other match: by parameters, by hidden size, or not."""
    if trials["arch"].nunique() < 2:
        return "one architecture, nothing to match"
    ratio = trials["num_params"].max() / trials["num_params"].min()
    if ratio <= MATCHED:
        return f"parameter counts matched within 10% (largest/smallest = {ratio:.2f})"
    if trials["hidden_size"].notna().all() and len(trials["hidden_size"].unique()) == 1:
        width = f"matched hidden size ({values(trials['hidden_size'])})"
        return f"{width}, parameter counts NOT matched: largest/smallest = {ratio:.2f}"
    return f"NOT matched: largest/smallest parameter count = {ratio:.2f}"


def values(column: pd.Series) -> str:
    """The distinct values in order; whole numbers without decimals."""
    distinct = sorted(column.dropna().unique(), key=lambda value: (str(type(value)), value))
    if not distinct:
        return UNKNOWN
    return listing(int(v) if isinstance(v, float) and v.is_integer() else v for v in distinct)


def span(column: pd.Series) -> str:
    """The least and the greatest of whole numbers, or the one that all are."""
    if column.isna().all():
        return UNKNOWN
    least, most = int(column.min()), int(column.max())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


SECTIONS = (Section(90, lambda report: models(report.runs)),)
