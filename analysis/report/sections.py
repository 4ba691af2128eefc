"""The sections of a report, each a piece of Markdown made from the runs; empty where they have nothing to show."""

import pandas as pd

from analysis.claims.bottleneck import DEGRADES, NO_BOTTLENECK, RULE, Change, changes
from analysis.claims.text_length import BLEU_RULE, LengthClaim, length_claim
from analysis.claims.verdicts import Answer, with_reason
from analysis.figures.length.accuracy import bits_points
from analysis.figures.style import styles
from analysis.report import markdown
from analysis.report.failures import not_in_means
from analysis.report.models import UNKNOWN, span, values
from analysis.statistics.comparisons import (
    BLEU_BOUNDS,
    Comparison,
    comparisons,
    left_out_phrase,
    scored,
    setting_title,
    text_trials,
)
from analysis.statistics.intervals import capacity, corpus_bleu
from analysis.statistics.pairs import bleu_pairs
from analysis.statistics.summaries import (
    PROPORTION,
    SETTING,
    at_train_length,
    count_phrase,
    ended_badly,
    interval_of,
    over_seeds,
    setting_name,
    synthetic,
)
from analysis.statistics.words import interval, listing, percent
from analysis.tables.trial_folders import ALL, BLEU_STATISTICS, Runs

LITERATURE = """\
**The claim.** An encoder that hands over one fixed-size vector loses information as the source grows; attention
removes the limit. Cho et al. (2014b, arXiv:1409.1259, Figure 4) saw translation quality fall with sentence length;
Bahdanau et al. (2015, arXiv:1409.0473, Figure 2) saw it fall for the fixed context and stay flat with attention;
Britz et al. (2017, arXiv:1707.00110) saw the same on a copy task. Sutskever et al. (2014, arXiv:1409.3215), with
deep LSTMs and reversed sources, saw no degradation up to 35 words."""

GRADIENT_LITERATURE = """\
## Gradient flow

**The claim.** The gradient that reaches a source token shrinks exponentially with its distance from the loss in a
vanilla RNN (Hochreiter 1991; Bengio et al. 1994; Pascanu et al. 2013, arXiv:1211.5063), slower in an LSTM or a GRU, and
hardly at all where attention makes the path short (Vaswani et al. 2017, arXiv:1706.03762, Table 1). Measured here at
the source embeddings, before clipping."""

TEXT_LITERATURE = """\
**The claim.** Attention keeps BLEU on long sentences; a fixed context loses it: Cho et al. (2014b, arXiv:1409.1259,
Figure 4) for the fixed context, Bahdanau et al. (2015, arXiv:1409.0473, Figure 2) and Luong et al. (2015,
arXiv:1508.04025, Figure 6) for both."""
NO_TEST = "One symbol has to pass here, however long the source is: this tests memory over a lag, not the bottleneck."
ONE_SEED = "One seed only: no interval can be given, and no verdict."
ONE_SEED_OF_TEXT = "One seed only: intervals of BLEU are over test sentences alone, and no verdict can be given."
SAME_BLEU = 0.01  # scores of one test set that differ by more were not computed in the same way


def what_was_run(runs: Runs) -> str:
    """Tasks, lengths, architectures, seeds, hardware and budget, and what the comparison has to live with."""
    trials = runs.trials
    names = [look.name for look in styles(trials["arch"]).values()]
    settings = trials[SETTING].drop_duplicates().sort_values(SETTING).itertuples(index=False, name=None)
    lines = [
        f"Tasks: {'; '.join(setting_name(*setting) for setting in settings)}",
        f"Source lengths in training: {values(trials['train_length'])} tokens{_ranges(trials)}",
        f"Architectures: {listing(names)}",
        f"Seeds: {values(trials['seed'])}",
        f"Trials: {len(trials)} complete, {len(runs.failures)} failed or diverged, {len(runs.unfinished)} unfinished",
        f"Training: {span(trials['steps'])} steps a trial, {_hours(trials['train_seconds'])} in all",
        f"Device: {values(trials['device'])}; threads: {values(trials['threads'])}; "
        f"precision: {values(trials['precision'])}",
        f"Version: {values(trials['version'])}",
    ]
    return "## What was run\n\n" + "\n".join(f"- {line}" for line in lines) + _cautions(trials)


def bottleneck_claim(runs: Runs) -> str:
    """What the literature claims about length, and what these runs measured on synthetic tasks."""
    if synthetic(runs.results).empty:
        return ""
    accuracy = at_train_length(runs.results, "greedy_token_accuracy")
    tests = accuracy.empty or not accuracy["task"].isin(NO_BOTTLENECK).all()
    parts = ["## The fixed-context bottleneck", LITERATURE] if tests else ["## Accuracy and length"]
    if accuracy.empty:
        parts.append(
            "**Measured here.** Nothing yet: no model was tested with greedy decoding at the length it was trained on."
        )
        return "\n\n".join(parts)
    for task, vocabulary in _settings(accuracy):
        shortest, longest, found = changes(runs.results, task, vocabulary, runs.architectures)
        looks = styles(runs.results["arch"])
        rows = [
            [
                looks[change.arch].name,
                interval(change.token_accuracy),
                interval(change.exact_match),
                _seeds(change, runs.failures, task, longest),
                interval(change.drop),
                with_reason(DEGRADES[change.degrades], change.reason),
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
            f"**Measured here: {setting_name(task, vocabulary)}.** {_in_words(found, shortest, longest, looks)}"
            + (f" {NO_TEST}" if task in NO_BOTTLENECK else ""),
            markdown.table(header, rows),
        ]
        if lost := not_in_means(runs.failures[runs.failures["task"] == task]):
            parts.append(f"**{lost}** What completed may look better than what was tried.")
    parts.append(f"Mean [95% t interval over seeds], cut at 0 and 1. Verdicts by the token accuracy: {RULE}")
    return "\n\n".join(parts)


def capacities(runs: Runs) -> str:
    """The most bits each architecture recovered, where the task's information is known."""
    if synthetic(runs.results).empty:
        return ""
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
                looks[arch].name, setting_name(task, vocabulary), interval(most, 1), length,
                f"{presented:.1f}", most.count,
            ])  # fmt: skip
    header = ["Architecture", "Task", "Most bits recovered a sequence", "at length", "Bits presented there", "Seeds"]
    return (
        "## Bits that arrive\n\n" + markdown.table(header, rows) + "\n\n"
        "The largest mean over lengths, a lower bound on capacity: longer training may recover more, and so may a "
        "longer source where the largest value stands at the greatest length."
    )


def bleu_by_length(runs: Runs) -> str:
    """What the literature claims about BLEU and sentence length, and what the trials on text measured."""
    compared = comparisons(runs)
    if not compared:
        return ""
    parts = ["## BLEU by source length", TEXT_LITERATURE, *(_bleu_of(each, compared) for each in compared)]
    parts += [BLEU_RULE, "Intervals: 95% percentiles of a bootstrap over test sentences, the same for every model, and "
              "seeds; with one seed over sentences alone, so that they speak of these very models."]  # fmt: skip
    parts += [phrase for phrase in [left_out_phrase(compared)] if phrase]
    return "\n\n".join(parts)


def translations(runs: Runs) -> str:
    """Scores of the whole test sets, how text was decoded, and how the scores were computed."""
    compared = comparisons(runs)
    if not compared:
        return ""
    whole = runs.results[runs.results["bucket"] == ALL]
    rows = []
    for comparison in compared:
        own = whole[whole["trial"].isin(comparison.trials)]
        for arch, look in styles(comparison.archs).items():
            means = own[own["arch"] == arch].groupby("metric")["value"].mean()
            bleu = scored(comparison, arch, comparison.whole).interval().clipped(*BLEU_BOUNDS)
            others = [f"{means[metric]:.1f}" if metric in means else None for metric in ("chrf", "ter")]
            title = ", ".join(setting_title(comparison.setting, compared))
            rows.append([look.name, title, comparison.train_length, interval(bleu, 1), *others, bleu.count])
    header = ["Architecture", "Test set", "Trained up to", "BLEU", "chrF", "TER", "Seeds"]
    trials = text_trials(runs)
    lines = [f"Decoding: {'; '.join(sorted(trials['decoding'].unique()))}"]
    for metric, name in (("bleu", "BLEU"), ("chrf", "chrF"), ("ter", "TER")):
        signatures = [f"`{signature}`" for signature in _signatures(trials, metric)]
        lines.append(f"{name}: {'; '.join(signatures) or 'no signature'}")
    listed = "\n".join(f"- {line}" for line in lines)
    spread = "BLEU with its bootstrap interval; chrF and TER are means over the same seeds, without one."
    return f"## Whole test sets\n\n{markdown.table(header, rows)}\n\n{spread}\n\n{listed}" + _text_cautions(
        runs, compared
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
                *(interval(own.get(length)) for length in lengths),
                count_phrase(interval.count for interval in own.values()),
            ])  # fmt: skip
    header = ["Architecture", "Task", *(f"Length {length}" for length in lengths), "Seeds"]
    return (
        "## Alignment accuracy\n\n" + markdown.table(header, lines) + "\n\n"
        "Share of target tokens whose largest attention weight lies on the gold source position."
    )


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
        names = listing([folder.name for folder in runs.unfinished])
        parts.append(f"Unfinished (still running or interrupted): {names}")
    return title + "\n\n".join(parts)


def _bleu_of(comparison: Comparison, compared: list[Comparison]) -> str:
    """Verdict, table and pairs of trials that can be compared."""
    looks = styles(comparison.archs)
    title = f"{', '.join(setting_title(comparison.setting, compared))}, trained up to {comparison.train_length}"
    if not comparison.buckets:
        return f"**Measured here: {title}.** Nothing: no range of lengths has enough sentences."
    claim = length_claim(comparison)
    first, last = comparison.buckets[0].name, comparison.buckets[-1].name
    header = ["Architecture", *(f"{bucket.name} (n = {bucket.sentences})" for bucket in comparison.buckets), "Seeds"]
    rows = []
    for arch, look in looks.items():
        intervals = [scored(comparison, arch, bucket).interval().clipped(*BLEU_BOUNDS) for bucket in comparison.buckets]
        rows.append([look.name, *(interval(each, 1) for each in intervals), intervals[0].count])
    parts = [
        f"**Measured here: {title}.** That attention keeps BLEU on long sentences and a fixed context loses it "
        f"{with_reason(claim.answer, claim.reason)}.{_shares(claim, first, last)}",
        markdown.table(header, rows),
    ]
    against = [
        [
            looks[pair.attention].name,
            looks[pair.fixed].name,
            interval(pair.difference, 1),
            f"{pair.p_value:.3f}",
            f"{pair.corrected:.3f}",
            pair.difference.count,
        ]
        for pair in bleu_pairs(comparison)
    ]
    if against:
        header = ["Attention", "Fixed context", f"Difference of BLEU at {last}", "p", "p, corrected (Holm)", "Seeds"]
        parts.append(markdown.table(header, against))
    return "\n\n".join(parts)


def _shares(claim: LengthClaim, first: str, last: str) -> str:
    """` From 1-10 to 41-50 tokens, attention kept 91% [88%, 94%] of its BLEU, …`; empty where nothing is known."""
    kept = [
        f"{kind} kept {percent(share)} of their BLEU"
        for kind, share in (("models with attention", claim.attention), ("fixed contexts", claim.fixed))
        if share
    ]
    if not kept:
        return ""
    less = f", a difference of {percent(claim.advantage)}" if claim.advantage else ""
    return f" From {first} to {last} source tokens, {', '.join(kept)}{less}."


def _signatures(trials: pd.DataFrame, metric: str) -> list[str]:
    return sorted({signatures[metric] for signatures in trials["signatures"] if metric in signatures})


def _text_cautions(runs: Runs, compared: list[Comparison]) -> str:
    """What makes a comparison of translations weaker than it looks."""
    trials = text_trials(runs)
    notes = []
    if len({each.setting for each in compared}) > len({each.setting[:-1] for each in compared}):
        notes.append("BLEU of one test set was computed in different ways (see the signatures): shown apart.")
    by = ["task", "vocabulary", "source_language", "target_language", "test_name", "train_length"]
    if trials.groupby(by)["decoding"].nunique().max() > 1:
        notes.append("Trials that are compared with each other were decoded in different ways.")
    whole = runs.results[(runs.results["bucket"] == ALL) & (runs.results["metric"] == "bleu")]
    stated = dict(zip(whole["trial"], whole["value"], strict=True))
    for name, sentences in runs.sentences.groupby("trial"):
        computed = float(corpus_bleu(sentences[BLEU_STATISTICS].sum().to_numpy()))
        if name in stated and abs(stated[name] - computed) > SAME_BLEU:
            notes.append(
                f"{name} states BLEU {stated[name]:.2f}, but its sentences give {computed:.2f}; "
                "figures and tables here show the latter."
            )
    return "".join(f"\n\n**Note.** {note}" for note in notes)


def _in_words(found: list[Change], shortest: int, longest: int, looks: dict) -> str:
    """One sentence a verdict: `Between lengths 10 and 80, degrades: LSTM, GRU.`"""
    if shortest == longest:
        return f"One length only ({longest}), so nothing can be said about what length does."
    by_answer: dict[Answer, list[str]] = {answer: [] for answer in DEGRADES}
    for change in found:
        by_answer[change.degrades].append(looks[change.arch].name)
    parts = [f"{DEGRADES[answer]}: {', '.join(names)}" for answer, names in by_answer.items() if names]
    return f"Between lengths {shortest} and {longest}: " + "; ".join(parts) + "."


def _seeds(change: Change, failures: pd.DataFrame, task: str, length: int) -> str:
    """How many seeds stand behind a mean, and how many of the same class and length have none."""
    count = change.token_accuracy.count if change.token_accuracy else 0
    lost = ended_badly(failures, change.arch, task, length)
    return f"{count} ({lost})" if lost else str(count)


def _cautions(trials: pd.DataFrame) -> str:
    """What makes the comparison weaker than it looks."""
    notes = []
    on_text = trials["test_name"].notna()
    for own, said in ((trials[~on_text], ONE_SEED), (trials[on_text], ONE_SEED_OF_TEXT)):
        if len(own["seed"].unique()) == 1:
            notes.append(said)
    cells = trials.groupby([*SETTING, "train_length"])
    if cells["steps"].nunique().max() > 1:
        notes.append("Trials that are compared with each other had different numbers of training steps.")
    for column in ("device", "precision", "version", "min_train_length"):
        if cells[column].nunique().max() > 1:
            notes.append(f"Trials that are compared with each other differ in {column}.")
    return "".join(f"\n\n**Note.** {note}" for note in notes)


def _ranges(trials: pd.DataFrame) -> str:
    ranged = trials[trials["min_train_length"] < trials["train_length"]]
    if ranged.empty:
        return ""
    pairs = ranged[["min_train_length", "train_length"]].drop_duplicates().sort_values("train_length")
    spans = [f"{least} to {most}" for least, most in pairs.itertuples(index=False, name=None)]
    return f" (the greatest of a range: {listing(spans)})"


def _settings(rows: pd.DataFrame) -> list[tuple[str, int]]:
    return list(rows[SETTING].drop_duplicates().sort_values(SETTING).itertuples(index=False, name=None))


def _hours(seconds: pd.Series) -> str:
    return UNKNOWN if seconds.isna().all() else f"{seconds.sum() / 3600:.2f} hours"


def _steps(row: list) -> list:
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in row]
