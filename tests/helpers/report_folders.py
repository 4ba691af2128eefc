"""Made-up folders of everything that a report can show, for its tests."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.tables.schema import PARALLELISM
from tests.helpers.analysis_tables import ARCHITECTURES, plausible_rows, write_failure, write_text_trial, write_trial
from tests.helpers.gradient_tables import seven_architectures, written

PACKAGES = {"torch": "2.13.0", "lightning": "2.6.6"}
MACHINE = {"device": "cpu", "processor": "AMD EPYC", "threads": 2, "precision": "32-true"}
DEPTHS = {"VanillaRNN": 6, "LSTM": 14, "GRU": 18, "Bahdanau": 24, "LuongGlobal": 16, "LuongLocal": 17}


def write_everything(
    folder: Path,
    architectures: Iterable[str] = ARCHITECTURES,
    lengths: Sequence[int] = (10, 20, 40),
    seeds: Sequence[int] = (0, 1, 2),
) -> Path:
    """Trials on a task, at three widths and on text, with curves and attention; gradients; timings; one diverged."""
    for arch in architectures:
        for length in lengths:
            for seed in seeds:
                with_history(write_trial(folder / "copy", arch, length, seed, plausible_rows(arch, length, seed)), arch)
    for width in (32, 64, 128):
        for seed in seeds[:3]:
            for length in (10, 80):
                rows = at_width(plausible_rows("LSTM", length, seed), width)
                write_trial(
                    folder / "widths", "LSTM", length, seed, rows, task="copy", model={"hidden_size": width},
                    suffix=f"{width:08d}",
                )  # fmt: skip
    for arch in ("GRU", "Bahdanau", "Transformer"):
        for seed in seeds[:3]:
            folder_of_trial = write_text_trial(folder / "text", arch, 50, seed)
            if arch != "GRU":
                with_attention(folder_of_trial, arch)
    write_failure(folder / "copy", "LSTM", max(lengths), 7)
    written(seven_architectures(), folder / "gradients")
    write_parallelism(folder / "parallelism")
    return folder


def at_width(rows, width: int):
    """The measurements of a model whose state carries two bits a unit."""
    return [(*row[:3], min(row[3], 2.0 * width)) if row[2] == "bits_recovered" else row for row in rows]


def with_history(folder: Path, arch: str) -> Path:
    """Adds history.csv and environment.json to a trial."""
    rate = 0.002 * (1 + ARCHITECTURES.index(arch))
    seed = json.loads((folder / "summary.json").read_text())["seed"]
    lines = ["step,seconds,split,metric,value"]
    for step in range(0, 501, 50):
        accuracy = 1 - np.exp(-rate * step * (1 + 0.1 * seed))
        lines.append(f"{step},{step * 0.02 * (1 + seed / 10):.3f},validation,greedy_token_accuracy,{accuracy:.5f}")
        lines.append(f"{step},{step * 0.02:.3f},train,loss,{3 - accuracy:.5f}")
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    environment = {**MACHINE, "python": "3.11.7", "platform": "Linux", "commit": "cba0f15ed5c3", "packages": PACKAGES}
    (folder / "environment.json").write_text(json.dumps(environment))
    return folder


def with_attention(folder: Path, arch: str, sources: Iterable[int] = (4, 9, 14)) -> Path:
    """Adds attention.json to a trial on text: sentences of so many words, attended to word by word."""
    sentences = [
        {"id": 10 * words, "source": [f"▁w{place}" for place in range(words)], "attention": np.eye(words).tolist(),
         "target": [f"▁v{place}" for place in range(words)], "heads": None}
        for words in sources
    ]  # fmt: skip
    (folder / "attention.json").write_text(json.dumps({"arch": arch, "label": f"{arch}-50", "sentences": sentences}))
    return folder


def timings(architectures: Iterable[str] = ARCHITECTURES, transformer_time: float = 0.2) -> pd.DataFrame:
    """Counts and timings such as `lengthwise parallelism` writes; the time of a transformer's step a token is given."""
    rows = []
    for arch in architectures:
        for length in (8, 16, 32, 64):
            depth = DEPTHS.get(arch, 0) * length + 40
            rows.append(_timing(arch, length, "sequential_depth", depth, sweep="graph", device="any", threads=None))
            rows.append(_timing(arch, length, "path_length", 3 * length if arch in DEPTHS else 9, sweep="graph",
                                device="any", threads=None))  # fmt: skip
            seconds = length / 100 * (transformer_time if arch == "Transformer" else 1 + DEPTHS[arch] / 100)
            for sweep in ("fixed_batch", "fixed_tokens"):
                rows.append(_timing(arch, length, "step_seconds", seconds, sweep=sweep))
                rows.append(_timing(arch, length, "tokens_per_second", 64 * length / seconds, sweep=sweep))
    return pd.DataFrame(rows, columns=PARALLELISM.names)


def write_parallelism(folder: Path, **options) -> Path:
    """A folder with a parallelism.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    timings(**options).to_csv(folder / "parallelism.csv", index=False)
    return folder


def _timing(arch: str, length: int, metric: str, value: float, **columns) -> dict:
    spread = {"median": value, "lower": 0.97 * value, "upper": 1.03 * value, "repeats": 5}
    fixed = {"arch": arch, "hidden_size": 64, "num_params": 100_000, "length": length, "batch_size": 64}
    return {**MACHINE, **fixed, **spread, "metric": metric, **columns}
