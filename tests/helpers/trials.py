"""Trials, sweeps and reproductions small enough for a test."""

import copy
import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from analysis.reproductions.published import Reproduction
from experiments.config.trial import Trial, resolve_trial
from experiments.main import main
from experiments.reproductions.reproduction_file import read_reproduction
from experiments.trial.checkpoints import KEY
from experiments.trial.run import run_trial
from lit_models.decoder_only import DecoderOnly
from tests.helpers.text_files import write_corpus

SMALL = {
    "model": "GRU",
    "model.hidden_size": 12,
    "model.dropout": 0.1,
    "model.warmup_steps": 10,
    "data.length": 5,
    "data.vocabulary": 8,
    "data.train_examples": 400,
    "data.validation_examples": 40,
    "data.test_examples": 40,
    "data.batch_tokens": 120,
    "trainer.max_steps": 40,
    "trainer.val_check_interval": 10,
    "trainer.log_every_n_steps": 5,
    "trainer.accelerator": "cpu",
    "threads": 1,
}
TEXT: dict[str, Any] = {
    "data.length": 60,
    "data.vocabulary": 150,
    "data.tokenizer": "bpe",
    "data.byte_fallback": False,
    "data.batch_tokens": 400,
    "data.buckets": "[10,15]",
    "decoding.beam_size": 2,
}


def arguments(runs: Path, **changes: Any) -> list[str]:
    """Command line of a small trial; double underscores in names stand for dots, None leaves an option out."""
    options = {**SMALL, **{name.replace("__", "."): value for name, value in changes.items()}, "runs": runs}
    return [f"--{name}={value}" for name, value in options.items() if value is not None]


def small_trial(runs: Path, **changes: Any) -> Trial:
    return resolve_trial(arguments(runs, **changes))


def text_trial(folder: Path, **changes: Any) -> Trial:
    """A small trial on the toy languages, whose files and trials go into the folder."""
    options = {**SMALL, **TEXT, **write_corpus(folder / "corpus"), "runs": folder / "runs"}
    options |= {name.replace("__", "."): value for name, value in changes.items()}
    return resolve_trial([f"--{name}={value}" for name, value in options.items() if value is not None])


def run(trial: Trial) -> dict[str, Any]:
    """Run a trial without showing progress."""
    return run_trial(trial, trial.folder, lambda share, note: None)


def write_untrained(path: Path) -> None:
    """A checkpoint of a small model that reads the words of negation, to begin from where nothing is trained."""
    model = DecoderOnly(hidden_size=32, num_heads=2, source_vocab_size=95, target_vocab_size=95)
    settings = {"model": "DecoderOnly", "options": model.options, "task": "negation", "text": None, "config": {}}
    torch.save({"state_dict": model.state_dict(), KEY: settings}, path)


def copied(trial: Trial, runs: Path) -> Trial:
    """A trial and what it has left, in another folder."""
    moved = replace(trial, config={**trial.config, "runs": str(runs)})
    shutil.copytree(trial.folder, moved.folder)
    return moved


class Killed(Exception):
    """Stands for a process that is gone."""


def run_until(trial: Trial, step: int) -> None:
    """Run a trial and end it abruptly behind a training step."""

    def report(share: float, note: str) -> None:
        if note != "evaluating" and round(share * trial.config["trainer"]["max_steps"]) == step:
            raise Killed

    try:
        run_trial(trial, trial.folder, report)
    except Killed:
        return
    raise AssertionError(f"the trial ended before step {step}")


def history(trial: Trial) -> list[tuple[str, ...]]:
    """The curves of a trial, without what depends on the clock."""
    with (trial.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        (row["step"], row["split"], row["metric"], row["value"])
        for row in rows
        if row["metric"] != "target_tokens_per_second"
    ]


def results(trial: Trial) -> str:
    """The final table of a trial."""
    return (trial.folder / "results.csv").read_text()


def sweep_file(folder: Path, **parameters: Any) -> Path:
    """A grid of small trials; double underscores in names stand for dots."""
    fixed = {name: {"value": value} for name, value in SMALL.items()}
    varied = {name.replace("__", "."): setting for name, setting in parameters.items()}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({"method": "grid", "parameters": {**fixed, **varied}}, sort_keys=False))
    return path


def run_sweep(path: Path, output: Path, *more: str) -> int:
    """Run `lengthwise sweep` in this process; further arguments are options. Returns the exit code."""
    return main(["sweep", str(path), "--output", str(output), *more])


def checkpoint_of(trial: Trial) -> str:
    """Path of the best checkpoint of a trial that has run."""
    return str(trial.folder / "checkpoints" / "best.ckpt")


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


REPRODUCTION: dict[str, Any] = {
    "title": "Attention copies what a fixed context loses.",
    "source": {"paper": "Somebody 2015", "where": "table 1", "link": "https://example.org"},
    "differs": "Smaller.",
    "cost": "seconds",
    "measure": "Greedy token accuracy",
    "metric": "greedy_token_accuracy",
    "x": "length",
    "axis": "Length (tokens)",
    "lines": {"attention": {"model": "Bahdanau"}, "fixed": {"model": "GRU"}},
    "published": {
        "read": "from a table", "measure": "BLEU",
        "points": [{"line": "attention", "x": 10, "value": 26.75}, {"line": "fixed", "value": 17.82}],
    },
    "claims": [{"says": "Attention is better.", "order": ["attention at 10", "fixed at 10"]}],
    "sweep": {
        "method": "grid",
        "parameters": {"model": {"values": ["GRU", "Bahdanau"]}, "data.length": {"value": 10}},
        "command": ["lengthwise", "fit", "${args}"],
    },
    "paper": {"cost": "days", "sweep": {"parameters": {"data.length": {"value": 50}}}},
}  # fmt: skip


def reproduction_file(folder: Path, **changes: Any) -> Path:
    """A valid file with some keys changed; None leaves a key out, double underscores go into mappings."""
    content = copy.deepcopy(REPRODUCTION)
    for name, value in changes.items():
        *parents, key = name.split("__")
        block = content
        for parent in parents:
            block = block[parent]
        block[key] = value
        if value is None:
            del block[key]
    path = folder / "somebody2015-copy.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def reproduction(folder: Path, **changes: Any) -> Reproduction:
    """The same as it is read."""
    return read_reproduction(reproduction_file(folder, **changes))
