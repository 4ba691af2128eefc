"""The table of models: their sizes and options, and whether those that are compared match."""

import json
from typing import Any

import pandas as pd

from analysis.figures.style import styles
from analysis.report import markdown
from analysis.statistics.summaries import SETTING, setting_name
from analysis.statistics.words import listing
from analysis.tables.trial_folders import Runs

UNKNOWN = "not known"
SIZES = ("hidden_size", "source_vocab_size", "target_vocab_size")
MATCHED = 1.10  # largest over smallest parameter count that still counts as a fair comparison


def models(runs: Runs) -> str:
    """Sizes of the models, and whether they match where they are compared."""
    trials = runs.trials
    options = {arch: _options(own["model"]) for arch, own in trials.groupby("arch")}
    common = set.intersection(*(set(own.items()) for own in options.values()))
    rows, special = [], []
    for arch, look in styles(trials["arch"]).items():
        own = trials[trials["arch"] == arch]
        hidden = "-" if own["hidden_size"].isna().all() else values(own["hidden_size"])
        rows.append([look.name, hidden, span(own["num_params"]), len(own)])
        listed = [f"{key}={value}" for key, value in options[arch].items() if (key, value) not in common]
        listed += [f"{key}={' or '.join(found)}" for key, found in _differing(own["model"]).items()]
        if listed:
            special.append(f"- {look.name}: `{', '.join(listed)}`")
    notes: dict[tuple[str, str], list[Any]] = {}
    for (task, vocabulary, length), group in trials.groupby([*SETTING, "train_length"]):
        notes.setdefault((setting_name(task, vocabulary), matching(group)), []).append(length)
    said = "\n".join(f"- {setting}, length {listing(lengths)}: {note}" for (setting, note), lengths in notes.items())
    shared = ", ".join(sorted(f"{key}={value}" for key, value in common))
    parts = [
        "## Models",
        markdown.table(["Architecture", "Hidden size", "Parameters", "Trials"], rows),
        said,
        f"Options that all share: `{shared}`" if shared else "",
        "Options of each, other than its size (`or`: trials differ):\n\n" + "\n".join(special) if special else "",
        "" if any(options.values()) else f"Options: {UNKNOWN}.",
    ]
    return "\n\n".join(part for part in parts if part)


def _options(models: pd.Series) -> dict[str, str]:
    """The options that all models of an architecture have in common, but for its sizes, which stand apart."""
    first, *others = models
    shared = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    return {key: json.dumps(value) for key, value in shared.items() if key not in SIZES}


def _differing(models: pd.Series) -> dict[str, list[str]]:
    """The options in which models of an architecture differ, with every value; `or` stands between them."""
    keys = dict.fromkeys(key for model in models for key in model)
    found = {key: dict.fromkeys(json.dumps(model.get(key)) for model in models) for key in keys if key not in SIZES}
    return {key: sorted(given) for key, given in found.items() if len(given) > 1}


def matching(trials: pd.DataFrame) -> str:
    """How the sizes of models compared with each other match: by parameters, by hidden size, or not."""
    if trials["arch"].nunique() < 2:
        return "one architecture, nothing to match"
    ratio = trials["num_params"].max() / trials["num_params"].min()
    same_width = trials["hidden_size"].notna().all() and len(trials["hidden_size"].unique()) == 1
    by_width = f"matched hidden size ({values(trials['hidden_size'])})" if same_width else ""
    if ratio <= MATCHED:
        return f"parameter counts matched within 10% (largest/smallest = {ratio:.2f})"
    if by_width:
        return f"{by_width}, parameter counts NOT matched: largest/smallest = {ratio:.2f}"
    return f"NOT matched: largest/smallest parameter count = {ratio:.2f}"


def values(column: pd.Series) -> str:
    """The distinct values in order; whole numbers without decimals."""
    distinct = sorted(column.dropna().unique(), key=lambda value: (str(type(value)), value))
    if not distinct:
        return UNKNOWN
    return listing([int(v) if isinstance(v, float) and v.is_integer() else v for v in distinct])


def span(column: pd.Series) -> str:
    """The least and the greatest of whole numbers, or the one that all are."""
    if column.isna().all():
        return UNKNOWN
    least, most = int(column.min()), int(column.max())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
