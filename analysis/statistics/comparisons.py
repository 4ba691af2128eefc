"""Which trials on text can be compared with each other, and what each architecture scored by source length.

Trials on the same test set and with the same greatest train length are compared with each other, on the same
sentences. The sentences are put into buckets of source length here again, at the edges that results.csv names.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.statistics.intervals import (
    BLEU_ORDER,
    MeanInterval,
    bootstrap_sums,
    corpus_bleu,
    percentile_interval,
    resample_seeds,
)
from analysis.statistics.summaries import BUDGET, task_name
from analysis.tables.architectures import Architectures
from analysis.tables.schema import ALL, BLEU_STATISTICS
from analysis.tables.trial_folders import Runs

LEAST_SENTENCES = 20  # BLEU of fewer is noise
NO_BLEU = "BLEU is undefined: no reference has 4 words, so that there are no 4-grams"
SAMPLES = 1000
SEED = 2014  # of the bootstrap; any number will do as long as it stays
BLEU_BOUNDS = (0.0, 100.0)

Score = Callable[[np.ndarray], np.ndarray]  # from statistics (..., 10) to scores (...)


class Setting(NamedTuple):
    """What two trials share if their BLEU can stand in one panel; `signature` is sacreBLEU's, of BLEU."""

    task: str
    vocabulary: int
    source_language: str
    target_language: str
    test_name: str
    signature: str


class Distribution(NamedTuple):
    """A score of one architecture: its mean over seeds, and bootstrap samples (samples,) of that mean."""

    mean: float
    samples: np.ndarray
    seeds: int

    def interval(self) -> MeanInterval:
        """The mean with its 95% percentile interval."""
        return percentile_interval(self.mean, self.samples, self.seeds)

    def less(self, other: "Distribution") -> MeanInterval:
        """The difference from another, sample by sample, so that it is paired where both were drawn together."""
        return percentile_interval(self.mean - other.mean, self.samples - other.samples, min(self.seeds, other.seeds))


class Bucket(NamedTuple):
    """The test sentences of one range of source lengths, as translated by the trials of a Comparison."""

    name: str
    sentences: int
    mean_source_length: float  # tokens
    totals: np.ndarray  # (trials, 10), BLEU's statistics summed over the sentences
    resampled: np.ndarray  # (trials, samples, 10), the same on drawn sentences


@dataclass(frozen=True)
class Comparison:
    """Trials tested on the same sentences after training on sources of the same greatest length.

    Attributes:
        setting: what they were tested on.
        train_length: the longest source in training, in tokens.
        trials: their names (trials,).
        archs: the architecture of each trial (trials,).
        stopped: whether it used up its budget before it had converged (trials,).
        architectures: what the architectures say of themselves.
        whole: the whole test set.
        buckets: those with enough sentences whose BLEU is defined, the shortest first.
        left_out: name and number of sentences of those with too few.
        undefined: names of those without BLEU: where no reference has a 4-gram, the best translation would get 0.
        has_bleu: whether BLEU of the whole test set is defined.
    """

    setting: Setting
    train_length: int
    trials: tuple[str, ...]
    archs: tuple[str, ...]
    stopped: tuple[bool, ...]
    architectures: Architectures
    whole: Bucket
    buckets: tuple[Bucket, ...]
    left_out: tuple[tuple[str, int], ...]
    undefined: tuple[str, ...]
    has_bleu: bool

    def distribution(self, arch: str, values: np.ndarray, resampled: np.ndarray) -> Distribution:
        """The distribution of an architecture's mean, from values (trials,) and resampled (trials, samples)."""
        chosen = np.array(self.archs) == arch
        random = np.random.default_rng([SEED, zlib.crc32(arch.encode())])
        # Seeds of two architectures have nothing to do with each other; those of two buckets are the same models.
        samples = resample_seeds(values[chosen], resampled[chosen], random)
        return Distribution(float(values[chosen].mean()), samples, int(chosen.sum()))

    def of_kind(self, attends: bool) -> list[str]:
        """The architectures with attention, or those with a fixed context, in the order of tables."""
        return [arch for arch in self.architectures.names(self.archs) if self.architectures[arch].attends is attends]


def text_trials(runs: Runs) -> pd.DataFrame:
    """The trials that translated text, one row each."""
    return runs.trials[runs.trials["test_name"].notna()]


@lru_cache(maxsize=1)  # a report asks for them many times, and drawing test sets is what takes its time
def comparisons(runs: Runs) -> list[Comparison]:
    """The trials on text, put together with those they can be compared with.

    Raises:
        ReportError: trials on a test set of one name that had other sentences, other source lengths or other
            buckets than the rest.
    """
    trials = text_trials(runs)
    if trials.empty:
        return []
    trials = trials.assign(signature=[signatures.get("bleu", "") for signatures in trials["signatures"]])
    sentences = {str(name): rows.sort_values("line") for name, rows in runs.sentences.groupby("trial")}
    buckets = runs.results[~runs.results["bucket"].isin(["", ALL])].groupby("trial")["bucket"].unique()
    compared = []
    for key, group in trials.groupby([*Setting._fields, "train_length"]):
        *setting, train_length = cast(tuple[Any, ...], key)
        names = list(group["trial"])
        for name in names[1:]:
            _check_same_test(names[0], name, sentences, buckets)
        edges = list(buckets.get(names[0], []))
        translated = [sentences[name] for name in names]
        compared.append(_compare(Setting(*setting), int(train_length), group, translated, edges, runs.architectures))
    return compared


def scored(comparison: Comparison, arch: str, bucket: Bucket, score: Score = corpus_bleu) -> Distribution:
    """What an architecture scored on the sentences of a bucket."""
    return comparison.distribution(arch, score(bucket.totals), score(bucket.resampled))


def line_name(name: str, train_length: int) -> str:
    """`Bahdanau-30`, as the papers name a model by the longest sentence it was trained on."""
    return f"{name.replace(' attention', '')}-{train_length}"


def setting_title(setting: Setting, compared: Sequence[Comparison]) -> tuple[str, str]:
    """What figures and tables call a setting: the task, and the test; signatures are numbered if there are several."""
    alike = sorted({other.setting for other in compared if other.setting[:-1] == setting[:-1]})
    number = f", BLEU signature {alike.index(setting) + 1}" if len(alike) > 1 else ""
    test = f"{setting.source_language} to {setting.target_language}, {setting.test_name}{number}"
    return task_name(setting.task, setting.vocabulary), test


def left_out_phrase(compared: Sequence[Comparison]) -> str:
    """Which buckets have too few sentences to be shown; empty if all are shown."""
    left_out = dict.fromkeys(bucket for comparison in compared for bucket in comparison.left_out)
    undefined = dict.fromkeys(bucket for comparison in compared for bucket in comparison.undefined)
    phrases = []
    if left_out:
        listed = ", ".join(f"{name} (n = {sentences})" for name, sentences in left_out)
        phrases.append(f"Left out for fewer than {LEAST_SENTENCES} sentences: {listed}.")
    if undefined:
        phrases.append(f"Left out as BLEU is undefined where no reference has 4 words: {', '.join(undefined)}.")
    return " ".join(phrases)


def _compare(
    setting: Setting,
    train_length: int,
    trials: pd.DataFrame,
    sentences: list[pd.DataFrame],
    names: list[str],
    architectures: Architectures,
) -> Comparison:
    lengths = sentences[0]["source_length"].to_numpy()
    statistics = np.stack(
        [rows[BLEU_STATISTICS].to_numpy(dtype=float) for rows in sentences]
    )  # (trials, sentences, 10)
    chosen = {name: _within(name, lengths) for name in sorted(names, key=_first_length)}
    shown = {name: rows for name, rows in chosen.items() if rows.sum() >= LEAST_SENTENCES}
    long_enough = sentences[0]["reference_words"].to_numpy() >= BLEU_ORDER
    undefined = [name for name, rows in shown.items() if not long_enough[rows].any()]
    return Comparison(
        setting,
        train_length,
        tuple(trials["trial"]),
        tuple(trials["arch"]),
        tuple(trials["ended"] == BUDGET),
        architectures,
        _bucket(ALL, lengths, statistics),
        tuple(
            _bucket(name, lengths[rows], statistics[:, rows]) for name, rows in shown.items() if name not in undefined
        ),
        tuple((name, int(rows.sum())) for name, rows in chosen.items() if name not in shown),
        tuple(undefined),
        bool(long_enough.any()),
    )


def _bucket(name: str, lengths: np.ndarray, statistics: np.ndarray) -> Bucket:
    # Each bucket its own draws: those of different sentences are independent.
    resampled = bootstrap_sums(statistics, SAMPLES, SEED + zlib.crc32(name.encode()))
    return Bucket(name, len(lengths), float(lengths.mean()), statistics.sum(axis=1), resampled)


def _first_length(bucket: str) -> int:
    return int(bucket.rstrip("+").partition("-")[0])


def _within(bucket: str, lengths: np.ndarray) -> np.ndarray:
    """Which source lengths belong to a bucket such as `11-20` or `61+`, both ends included."""
    last = bucket.partition("-")[2]
    return (lengths >= _first_length(bucket)) & (lengths <= (int(last) if last else np.inf))


def _check_same_test(first: str, other: str, sentences: dict[str, pd.DataFrame], buckets: pd.Series) -> None:
    """Refuse to compare trials that were tested on different things under one name."""
    mine, others = sentences[first], sentences[other]
    differ = next(
        (
            what
            for column, what in (("reference", "test sentences"), ("source_length", "source lengths in tokens"))
            if list(mine[column]) != list(others[column])
        ),
        "buckets" if set(buckets.get(first, [])) != set(buckets.get(other, [])) else None,
    )
    if differ:
        raise ReportError(
            f"{first} and {other} have the same test set by name but different {differ}; report them apart"
        )
