"""Made-up trial folders that follow docs/results.md, for the tests of analysis/."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

ARCHITECTURES = ("VanillaRNN", "LSTM", "GRU", "Bahdanau", "LuongGlobal", "LuongLocal", "Transformer")
ATTENTION = ARCHITECTURES[3:]
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
