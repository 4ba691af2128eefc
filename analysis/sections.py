"""The sections of a report, each a piece of Markdown made from the runs; empty where they have nothing to show."""

from analysis import markdown
from analysis.bottleneck import bits_points
from analysis.claims import RULE, UNTOLD, Change, changes
from analysis.frames import Column, Frame
from analysis.load_runs import Runs
from analysis.statistics import capacity
from analysis.style import styles
from analysis.summaries import (
    PROPORTION,
    SETTING,
    at_train_length,
    interval_of,
    over_seeds,
    setting_name,
)

MATCHED = 1.10  # largest over smallest parameter count that still counts as a fair comparison

LITERATURE = """\
**The claim.** An encoder that hands over one fixed-size vector loses information as the source grows; attention
removes the limit. Cho et al. (2014b, arXiv:1409.1259, Figure 4) saw translation quality fall with sentence length;
Bahdanau et al. (2015, arXiv:1409.0473, Figure 2) saw it fall for the fixed context and stay flat with attention;
Britz et al. (2017, arXiv:1707.00110) saw the same on a copy task. Sutskever et al. (2014, arXiv:1409.3215), with
deep LSTMs and reversed sources, saw no degradation up to 35 words."""


def what_was_run(runs: Runs) -> str:
    """Tasks, lengths, architectures, seeds, hardware and budget, and what the comparison has to live with."""
    trials = runs.trials
    names = [look.name for look in styles(trials["arch"]).values()]
    settings = trials[SETTING].drop_duplicates().sort_values(SETTING).itertuples(index=False, name=None)
    lines = [
        f"Tasks: {'; '.join(setting_name(*setting) for setting in settings)}",
        f"Source lengths in training: {_values(trials['train_length'])} tokens{_ranges(trials)}",
        f"Architectures: {markdown.listing(names)}",
        f"Seeds: {_values(trials['seed'])}",
        f"Trials: {len(trials)} complete, {len(runs.failures)} failed or diverged, {len(runs.unfinished)} unfinished",
        f"Training: {_span(trials['steps'])} steps a trial, {trials['train_seconds'].sum() / 3600:.2f} hours in all",
        f"Device: {_values(trials['device'])}; threads: {_values(trials['threads'])}; "
        f"precision: {_values(trials['precision'])}",
        f"Version: {_values(trials['version'])}",
    ]
    return "## What was run\n\n" + "\n".join(f"- {line}" for line in lines) + _cautions(trials)


def bottleneck_claim(runs: Runs) -> str:
    """What the literature claims about length, and what these runs measured."""
    parts = ["## The fixed-context bottleneck", LITERATURE]
    accuracy = at_train_length(runs.results, "greedy_token_accuracy")
    if accuracy.empty:
        parts.append(
            "**Measured here.** Nothing yet: no model was tested with greedy decoding at the length it was trained on."
        )
        return "\n\n".join(parts)
    for task, vocabulary in _settings(accuracy):
        shortest, longest, found = changes(runs.results, task, vocabulary)
        looks = styles(runs.results["arch"])
        rows = [
            [
                looks[change.arch].name,
                markdown.interval(change.token_accuracy),
                markdown.interval(change.exact_match),
                _seeds(change, runs.failures, task, longest),
                markdown.interval(change.drop),
                change.verdict,
            ]
            for change in found
        ]
        header = [
            "Architecture",
            f"Greedy token accuracy at {longest}",
            f"Greedy exact match at {longest}",
            "Seeds",
            f"Drop of token accuracy from {shortest} to {longest}" if shortest < longest else "Drop",
            "Verdict",
        ]
        parts += [
            f"**Measured here: {setting_name(task, vocabulary)}.** {_in_words(found, shortest, longest, looks)}",
            markdown.table(header, rows),
        ]
    parts.append(f"Mean [95% t interval over seeds], cut at 0 and 1. Verdicts by the token accuracy: {RULE}")
    return "\n\n".join(parts)


def capacities(runs: Runs) -> str:
    """The most bits each architecture recovered, where the task's information is known."""
    points = bits_points(runs.results)
    if points.empty:
        return "*No bits recovered: these tasks or runs do not report the information in their targets.*"
    looks = styles(runs.results["arch"])
    recovered = at_train_length(runs.results, "bits_recovered")
    rows = []
    for task, vocabulary in _settings(points):
        here = recovered[(recovered["task"] == task) & (recovered["vocabulary"] == vocabulary)]
        for arch in styles(here["arch"]):
            by_length = here[here["arch"] == arch].groupby("train_length")["value"].apply(list).to_dict()
            length, most = capacity(by_length)
            at_best = points[(points[["task", "vocabulary", "arch", "train_length"]]
                              == [task, vocabulary, arch, length]).all(axis=1)]  # fmt: skip
            presented = at_best["bits_presented"].iloc[0] if len(at_best) else float("nan")
            rows.append([
                looks[arch].name, setting_name(task, vocabulary), markdown.interval(most, 1), length,
                f"{presented:.1f}",
            ])  # fmt: skip
    header = ["Architecture", "Task", "Most bits recovered a sequence", "at length", "Bits presented there"]
    return (
        "## Bits that arrive\n\n" + markdown.table(header, rows) + "\n\n"
        "The largest mean over lengths, a lower bound on capacity: longer training may recover more, and so may a "
        "longer source where the largest value stands at the greatest length."
    )


def alignments(runs: Runs) -> str:
    """How often the largest attention weight lies on the gold source position."""
    rows = at_train_length(runs.results, "alignment_accuracy")
    if rows.empty:
        return ""
    points = over_seeds(rows, [*SETTING, "arch", "train_length"], PROPORTION)
    lengths = sorted(points["train_length"].unique())
    looks = styles(runs.results["arch"])
    lines = []
    for task, vocabulary in _settings(points):
        here = points[(points["task"] == task) & (points["vocabulary"] == vocabulary)]
        for arch in styles(here["arch"]):
            own = {row["train_length"]: interval_of(row) for _, row in here[here["arch"] == arch].iterrows()}
            lines.append([
                looks[arch].name, setting_name(task, vocabulary),
                *(markdown.interval(own.get(length)) for length in lengths),
            ])  # fmt: skip
    header = ["Architecture", "Task", *(f"Length {length}" for length in lengths)]
    return (
        "## Alignment accuracy\n\n" + markdown.table(header, lines) + "\n\n"
        "Share of target tokens whose largest attention weight lies on the gold source position."
    )


def models(runs: Runs) -> str:
    """Sizes of the models, and whether they match where they are compared."""
    trials = runs.trials
    rows = []
    for arch, look in styles(trials["arch"]).items():
        own = trials[trials["arch"] == arch]
        rows.append([look.name, _values(own["hidden_size"].dropna()), _span(own["num_params"])])
    notes: dict[tuple[str, str], list[int]] = {}
    for (task, vocabulary, length), group in trials.groupby([*SETTING, "train_length"]):
        notes.setdefault((setting_name(task, vocabulary), matching(group)), []).append(length)
    said = "\n".join(
        f"- {setting}, length {markdown.listing(lengths)}: {note}" for (setting, note), lengths in notes.items()
    )
    return f"## Models\n\n{markdown.table(['Architecture', 'Hidden size', 'Parameters'], rows)}\n\n{said}"


def matching(trials: Frame) -> str:
    """How the sizes of models compared with each other match: by parameters, by hidden size, or not."""
    if trials["arch"].nunique() < 2:
        return "one architecture, nothing to match"
    ratio = trials["num_params"].max() / trials["num_params"].min()
    same_width = trials["hidden_size"].notna().all() and len(trials["hidden_size"].unique()) == 1
    by_width = f"matched hidden size ({_values(trials['hidden_size'])})" if same_width else ""
    if ratio <= MATCHED:
        return f"parameter counts matched within 10% (largest/smallest = {ratio:.2f})"
    if by_width:
        return f"{by_width}, parameter counts NOT matched: largest/smallest = {ratio:.2f}"
    return f"NOT matched: largest/smallest parameter count = {ratio:.2f}"


def left_out(runs: Runs) -> str:
    """Trials without results. They are in no mean, so that means over the others may look too good."""
    title = "## Trials left out\n\n"
    if runs.failures.empty and not runs.unfinished:
        return f"{title}None: every trial found is complete."
    parts = []
    if len(runs.failures):
        columns = ["trial", "status", "step", "reason"]
        rows = runs.failures.sort_values("trial")[columns].astype(object).to_numpy().tolist()
        parts.append(markdown.table([column.capitalize() for column in columns], [_steps(row) for row in rows]))
        parts.append("No mean above contains them: what completed may look better than what was tried.")
    if runs.unfinished:
        names = markdown.listing([folder.name for folder in runs.unfinished])
        parts.append(f"Unfinished (still running or interrupted): {names}")
    return title + "\n\n".join(parts)


def _in_words(found: list[Change], shortest: int, longest: int, looks: dict) -> str:
    """One sentence a verdict: `Between lengths 10 and 80, degrades: LSTM, GRU.`"""
    if shortest == longest:
        return f"One length only ({longest}), so nothing can be said about what length does."
    said: dict[str, list[str]] = {"degrades": [], "does not degrade": [], UNTOLD: []}
    for change in found:
        said[change.verdict.partition(":")[0]].append(looks[change.arch].name)
    parts = [f"{verdict}: {', '.join(names)}" for verdict, names in said.items() if names]
    return f"Between lengths {shortest} and {longest}: " + "; ".join(parts) + "."


def _seeds(change: Change, failures: Frame, task: str, length: int) -> str:
    """How many seeds stand behind a mean, and how many of the same class and length failed."""
    count = change.token_accuracy.count if change.token_accuracy else 0
    arch = change.arch.partition(" [")[0]
    failed = (failures["arch"] == arch) & (failures["task"] == task) & (failures["train_length"] == length)
    return f"{count} ({failed.sum()} failed)" if failed.any() else str(count)


def _cautions(trials: Frame) -> str:
    """What makes the comparison weaker than it looks."""
    notes = []
    if len(trials["seed"].unique()) == 1:
        notes.append("One seed only: no interval can be given, and no verdict.")
    cells = trials.groupby([*SETTING, "train_length"])
    if cells["steps"].nunique().max() > 1:
        notes.append("Trials that are compared with each other had different numbers of training steps.")
    for column in ("device", "precision", "version", "min_train_length"):
        if cells[column].nunique().max() > 1:
            notes.append(f"Trials that are compared with each other differ in {column}.")
    return "".join(f"\n\n**Note.** {note}" for note in notes)


def _ranges(trials: Frame) -> str:
    ranged = trials[trials["min_train_length"] < trials["train_length"]]
    if ranged.empty:
        return ""
    pairs = ranged[["min_train_length", "train_length"]].drop_duplicates().sort_values("train_length")
    spans = [f"{least} to {most}" for least, most in pairs.itertuples(index=False, name=None)]
    return f" (the greatest of a range: {markdown.listing(spans)})"


def _settings(rows: Frame) -> list[tuple[str, int]]:
    return list(rows[SETTING].drop_duplicates().sort_values(SETTING).itertuples(index=False, name=None))


def _values(column: Column) -> str:
    """The distinct values in order; whole numbers without decimals."""
    distinct = sorted(column.unique(), key=lambda value: (str(type(value)), value))
    return markdown.listing([int(v) if isinstance(v, float) and v.is_integer() else v for v in distinct])


def _span(column: Column) -> str:
    least, most = column.min(), column.max()
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _steps(row: list) -> list:
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in row]
