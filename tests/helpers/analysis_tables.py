"""Made-up trial folders that follow docs/results.md, for the tests of analysis/."""

import csv
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from sacrebleu.metrics.bleu import BLEU

from analysis.tables.schema import TIDY

ARCHITECTURES = ("VanillaRNN", "LSTM", "GRU", "Bahdanau", "LuongGlobal", "LuongLocal", "Transformer")
ATTENTION = ARCHITECTURES[3:]
LENGTHS = np.array([10.0, 20.0, 40.0, 80.0])
HEADER = "split,eval_length,position,metric,value\n"

Accuracy = Callable[[str, int, int], float]


def write_trial(
    sweep: Path,
    arch: str = "GRU",
    length: int = 10,
    seed: int = 0,
    rows: Iterable[tuple[int, int | None, str, float]] | None = None,
    **summary,
) -> Path:
    """One complete trial; `rows` are (eval_length, position, metric, value), `summary` overrides its summary."""
    content = {
        "status": "complete", "arch": arch, "task": "reverse", "vocabulary": 32, "train_length": length,
        "min_train_length": length, "seed": seed, "num_params": 100_000, "device": "cpu", "threads": 1,
        "precision": "32-true", "steps": 500, "train_seconds": 12.5, "version": "0.1.0",
        "model": {"hidden_size": 64},
    } | summary  # fmt: skip
    folder = sweep / f"{arch}-{content['task']}-L{length}-s{seed}-{content.pop('suffix', '3f9a1c2e')}"
    folder.mkdir(parents=True)
    if rows is None:
        rows = [(length, None, "greedy_token_accuracy", 0.9), (length, None, "greedy_exact_match", 0.5)]
    write_results(folder, rows)
    (folder / "config.yaml").write_text("seed_everything: 0\n")
    (folder / "summary.json").write_text(json.dumps(content))
    return folder


def write_results(folder: Path, rows: Iterable[tuple[int, int | None, str, float]]) -> None:
    lines = [f"test,{length},{'' if position is None else position},{metric},{value!r}\n"
             for length, position, metric, value in rows]  # fmt: skip
    (folder / "results.csv").write_text(HEADER + "".join(lines))


def write_failure(sweep: Path, arch: str = "VanillaRNN", length: int = 80, seed: int = 2, **failure) -> Path:
    """One trial that ended badly."""
    content = {
        "status": "diverged", "reason": "the loss is not a number", "step": 120, "arch": arch, "task": "reverse",
        "train_length": length, "seed": seed,
    } | failure  # fmt: skip
    folder = sweep / f"{arch}-reverse-L{length}-s{seed}-0badf00d"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed_everything: 0\n")
    (folder / "failure.json").write_text(json.dumps(content))
    return folder


def plausible_rows(arch: str, length: int, seed: int, eval_lengths: Iterable[int] | None = None, vocabulary: int = 32):
    """Numbers such as training would give: fixed contexts saturate, attention does not; all made up."""
    random = np.random.default_rng([seed, length, sum(map(ord, arch))])
    capacity = {"VanillaRNN": 45.0, "LSTM": 130.0, "GRU": 150.0}.get(arch, 4000.0)
    rows: list[tuple[int, int | None, str, float]] = []
    for tested in eval_lengths or [length]:
        beyond = max(0.0, math.log2(tested / length))
        presented = tested * math.log2(vocabulary)
        recovered = presented * (1 - math.exp(-capacity * (1 + 0.12 * random.normal()) / presented))
        recovered *= 0.55**beyond
        share = min(1.0, max(0.0, recovered / presented))
        accuracy = 1 / vocabulary + (1 - 1 / vocabulary) * share**1.5
        by_position = np.clip(accuracy + 0.3 * (1 - share) * np.linspace(1, -1, tested), 0, 1)
        rows += [
            (tested, None, "greedy_token_accuracy", float(by_position.mean())),
            (tested, None, "greedy_exact_match", float(accuracy ** (tested / 3))),
            (tested, None, "token_accuracy", accuracy),
            (tested, None, "bits_presented", presented),
            (tested, None, "bits_recovered", recovered),
        ]
        if arch in ATTENTION:
            rows.append((tested, None, "alignment_accuracy", min(1.0, 0.9 + 0.03 * float(random.normal()))))
        rows += [(tested, place + 1, "greedy_token_accuracy_by_position", float(value))
                 for place, value in enumerate(by_position)]  # fmt: skip
    return rows


def write_sweep(
    sweep: Path,
    architectures: Iterable[str] = ARCHITECTURES,
    lengths: Iterable[int] = (10, 20, 40, 80),
    seeds: Iterable[int] = (0, 1, 2),
    eval_lengths: Iterable[int] | None = None,
    task: str = "reverse",
) -> Path:
    """A sweep of complete trials with plausible numbers."""
    for arch in architectures:
        for length in lengths:
            for seed in seeds:
                rows = plausible_rows(arch, length, seed, eval_lengths)
                write_trial(sweep, arch, length, seed, rows, task=task)
    return sweep


EDGES = (10, 20, 30, 40, 50)
STATISTICS = (
    *(f"bleu_correct_{n}" for n in range(1, 5)), *(f"bleu_total_{n}" for n in range(1, 5)),
    "output_words", "reference_words",
)  # fmt: skip
TEXT = {
    "task": "multi30k", "vocabulary": 8000, "min_train_length": 1, "decoding": "beam 5, length penalty 1.0",
    "signatures": {"bleu": "nrefs:1|case:lc|tok:13a", "chrf": "nrefs:1|nc:6", "ter": "nrefs:1|case:lc"},
    "source_language": "de", "target_language": "en", "test_name": "flickr2016",
}  # fmt: skip


def bucket_name(length: int) -> str:
    """The bucket of a source length: 1-10, 11-20, … 51+."""
    last = next((edge for edge in EDGES if length <= edge), None)
    return f"{last - 9}-{last}" if last else f"{EDGES[-1] + 1}+"


def plausible_sentences(arch: str, length: int, seed: int, count: int = 400) -> list[dict]:
    """Test sentences as a model trained up to `length` would translate them: a fixed context fails on long ones.

    The sentences are the same for every model; the numbers are made up.
    """
    drawn = np.random.default_rng(0)
    lengths = np.clip(np.round(drawn.gamma(3.0, 7.5, count)), 2, 70).astype(int)
    random = np.random.default_rng([seed, length, sum(map(ord, arch))])
    quality = 0.72 + 0.01 * random.normal() - (0.06 if arch == "VanillaRNN" else 0.0)
    rows = []
    for line, source_length in enumerate(lengths.tolist(), start=1):
        forgotten = 1.0 if arch in ATTENTION else math.exp(-max(0, source_length - 12) / 30)
        words = max(1, round(0.9 * source_length))
        written = words if arch in ATTENTION else min(words, round(0.8 * length + 0.2 * words))
        chance = quality * forgotten * (1 - 0.003 * max(0, source_length - length))
        total = [max(0, written - n) for n in range(4)]
        correct = [int(random.binomial(total[0], chance))]
        for number in total[1:]:
            correct.append(int(random.binomial(min(number, correct[-1]), 0.75 * chance + 0.2)))
        counts = dict(zip(STATISTICS, [*correct, *total, written, words], strict=True))
        text = {"source": f"Satz {line}", "reference": f'sentence, "{line}"', "output": f"phrase {line}"}
        rows.append({"line": line, "source_length": source_length, **text, **counts})
    return rows


def write_text_trial(
    sweep: Path, arch: str = "GRU", length: int = 30, seed: int = 0, sentences: list[dict] | None = None, **summary
) -> Path:
    """One complete trial on text: its buckets are measured on its sentences."""
    sentences = plausible_sentences(arch, length, seed) if sentences is None else sentences
    attention = {"attention": arch not in ("VanillaRNN", "LSTM", "GRU")}
    folder = write_trial(sweep, arch, length, seed, [], **(TEXT | attention | summary))
    write_sentences(folder, sentences)
    longest = max(sentence["source_length"] for sentence in sentences)
    lines = [f"test,{longest},all,,loss,2.5\n"]
    for name in ("all", *dict.fromkeys(bucket_name(sentence["source_length"]) for sentence in sentences)):
        inside = [row for row in sentences if name in ("all", bucket_name(row["source_length"]))]
        last = longest if name == "all" or name.endswith("+") else int(name.partition("-")[2])
        lines += [f"test,{last},{name},,{metric},{value!r}\n" for metric, value in text_metrics(inside).items()]
    (folder / "results.csv").write_text(HEADER.replace("position", "bucket,position") + "".join(lines))
    return folder


def write_sentences(folder: Path, sentences: list[dict]) -> None:
    with (folder / "sentences.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(sentences[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sentences)


def text_metrics(sentences: list[dict]) -> dict[str, float]:
    """What a trial measures on some of its test sentences; BLEU and the length ratio from their statistics."""
    sums = [sum(row[column] for row in sentences) for column in STATISTICS]
    lengths = [row["source_length"] for row in sentences]
    return {
        "bleu": BLEU.compute_bleu(sums[:4], sums[4:8], sums[8], sums[9], smooth_method="exp").score,
        "chrf": 55.5, "ter": 44.5, "rouge1": 0.6, "rouge2": 0.4, "rougeL": 0.5, "exact_match_text": 0.1,
        "length_ratio": sums[8] / sums[9], "sentences": len(sentences),
        "mean_source_length": sum(lengths) / len(lengths),
    }  # fmt: skip


def write_text_sweep(
    sweep: Path,
    architectures: Iterable[str] = ("LSTM", "GRU", "Bahdanau", "LuongGlobal"),
    lengths: Iterable[int] = (30, 50),
    seeds: Iterable[int] = (0, 1, 2),
    **summary,
) -> Path:
    """A sweep of complete trials on text with plausible numbers."""
    for arch in architectures:
        for length in lengths:
            for seed in seeds:
                write_text_trial(sweep, arch, length, seed, **summary)
    return sweep


def accuracies(
    curves: dict[str, dict[int, float]], seeds=(0, 1, 2), spread=0.002, task="copy", limit=0, ended=None
) -> pd.DataFrame:
    """The tidy table of models with an accuracy at each length, seeds a little apart.

    With a limit, a curve is that of one model for all lengths up to it; without, every length has its own model.
    """
    rows = [
        (f"{arch}-{limit or length}-{seed}", arch, task, 32, limit or length, 1 if limit else length, seed, 1000, "cpu",
         ended, "test", length, "", None, "greedy_token_accuracy", accuracy + spread * (seed - 1))
        for arch, curve in curves.items() for length, accuracy in curve.items() for seed in seeds
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=TIDY.names)


def results_of(curves: dict[tuple[str, int], dict[str, list[float]]], lengths=LENGTHS) -> pd.DataFrame:
    """The tidy table of `{(arch, seed): {metric: a value a length}}`."""
    rows = [
        (f"{arch}-{length:.0f}-{seed}", arch, "copy", 32, int(length), int(length), seed, 1000, "cpu", None, "test",
         int(length), "", None, metric, value)
        for (arch, seed), metrics in curves.items()
        for metric, values in metrics.items()
        for length, value in zip(lengths, values, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=TIDY.names)
