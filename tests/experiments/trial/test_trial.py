"""A trial from its options to its results: complete, reproducible, and continued where it was stopped."""

import csv
import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.figures.attention.alignments import alignment_figure
from analysis.tables.architectures import Architectures
from analysis.tables.attention_files import read_attention
from experiments.config.trial import Trial, resolve_trial
from experiments.errors import UsageError
from experiments.main import main
from experiments.trial.callbacks import TrialDiverged
from experiments.trial.run import run_trial
from lit_models.gru import GRU
from lit_models.lit_module import schedule_factor
from tests.helpers.text_files import stand_in_corpora
from tests.helpers.trials import Killed, arguments, checkpoint_of, copied, history, results, run, run_until, small_trial

Finished = Callable[..., Trial]


def test_a_trial_leaves_what_the_documentation_says(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, data__eval_lengths="[3,8]")
    summary = run(trial)
    names = {path.name for path in trial.folder.iterdir()} - {".lock"}
    assert names == {"config.yaml", "environment.json", "history.csv", "results.csv", "checkpoints", "summary.json"}
    assert {path.name for path in (trial.folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert json.loads((trial.folder / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert summary["status"] == "complete"
    assert summary["architecture"]["display_name"] == "GRU" and summary["architecture"]["context_size"] == 12
    assert (summary["arch"], summary["task"], summary["train_length"], summary["seed"]) == ("GRU", "reverse", 5, 0)
    with (trial.folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["eval_length"] for row in rows} == {"3", "5", "8"}
    by_position = [row for row in rows if row["metric"] == "greedy_token_accuracy_by_position"]
    assert [int(row["position"]) for row in by_position if row["eval_length"] == "8"] == list(range(1, 9))


def test_models_with_attention_leave_where_they_looked_in_an_example_of_each_length(tmp_path: Path) -> None:
    files = {}
    for arch in ("LuongGlobal", "Bahdanau"):
        trial = small_trial(tmp_path, model=arch, data__eval_lengths="[3,8,41]", trainer__max_steps=2)
        run(trial)
        files[arch] = read_attention(trial.folder / "attention.json")
        assert files[arch].label == f"{arch}, reverse 5"
        assert sorted(len(sentence.source) for sentence in files[arch].sentences.values()) == [3, 5, 8]
    assert set(files["LuongGlobal"].sentences) == set(files["Bahdanau"].sentences)
    for number, example in files["Bahdanau"].sentences.items():
        assert example.source == files["LuongGlobal"].sentences[number].source
        assert example.name == f"a test example of reverse, {len(example.source)} tokens"
        assert example.example == f"reverse, {len(example.source)} tokens"
        np.testing.assert_allclose(example.attention.sum(axis=1), 1, atol=1e-3)
    charts = [
        alignment_figure(list(files.values()), number, architectures=Architectures())
        for number in files["Bahdanau"].sentences
    ]
    assert len(charts) == 3
    assert all("for a test example of reverse" in chart.caption for chart in charts)


def test_the_saved_configuration_is_the_same_trial(finished: Finished, tmp_path: Path) -> None:
    trial = finished()
    again = arguments(tmp_path / "elsewhere")[-1]
    assert resolve_trial([f"--config={trial.folder / 'config.yaml'}", again]).name == trial.name
    assert str(trial.folder.parent) not in (trial.folder / "config.yaml").read_text()


def test_the_name_follows_what_is_computed_and_not_where(tmp_path: Path) -> None:
    trial = small_trial(tmp_path)
    assert trial.name.startswith("GRU-reverse-L5-s0-")
    assert small_trial(tmp_path / "other", threads=2, wandb="true").name == trial.name
    assert small_trial(tmp_path, model__dropout=0.2).name != trial.name
    assert small_trial(tmp_path, trainer__max_steps=50).name != trial.name
    assert small_trial(tmp_path, checkpoint__monitor="validation/exact_match").name != trial.name


def test_the_group_is_shared_by_the_seeds_of_a_configuration_and_by_no_other_configuration(tmp_path: Path) -> None:
    trial = small_trial(tmp_path)
    assert re.fullmatch(r"GRU-reverse-L5-[0-9a-f]{8}", trial.group)
    assert small_trial(tmp_path, seed_everything=7).group == trial.group
    for changes in ({"model__hidden_size": 16}, {"model__learning_rate": 0.1}, {"trainer__gradient_clip_val": 5.0}):
        assert small_trial(tmp_path, **changes).group != trial.group


def test_a_parameter_budget_becomes_a_width(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, model__hidden_size=None, parameter_budget=5000, trainer__max_steps=2)
    width = trial.config["model"]["init_args"]["hidden_size"]
    assert trial.name == small_trial(tmp_path, model__hidden_size=width, trainer__max_steps=2).name
    assert abs(run(trial)["num_params"] - 5000) <= 500


def test_a_budget_does_not_override_the_width_of_a_configuration(tmp_path: Path) -> None:
    configs = Path(__file__).parents[3] / "experiments" / "configs"
    both = [f"--config={configs / name}" for name in ("base.yaml", "papers/bahdanau2015.yaml")]
    with pytest.raises(UsageError, match=r"--parameter_budget: it chooses model\.hidden_size"):
        resolve_trial([*both, f"--runs={tmp_path}"])
    papers = resolve_trial([*both, "--parameter_budget=null", f"--runs={tmp_path}"])
    assert papers.config["model"]["init_args"]["hidden_size"] == 1000


def test_a_complete_trial_is_left_alone(finished: Finished, tmp_path: Path) -> None:
    trial = copied(finished(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in trial.folder.rglob("*") if path.is_file()}
    assert run(trial) == json.loads((trial.folder / "summary.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in trial.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("model", ["GRU", "LuongGlobal", "Transformer"])
def test_the_same_seed_gives_bit_identical_metrics(finished: Finished, tmp_path: Path, model: str) -> None:
    first, second = finished(model=model), small_trial(tmp_path, model=model)
    run(second)
    assert history(first) == history(second)
    assert results(first) == results(second)


# Validation and checkpoint fall on every tenth step: before the first, on one, behind one, and at the very end.
@pytest.mark.parametrize("step", [7, 10, 11, 26, 39])
def test_a_stopped_trial_continues_to_the_same_numbers(finished: Finished, tmp_path: Path, step: int) -> None:
    whole, stopped = finished(), small_trial(tmp_path)
    run_until(stopped, step)
    assert not (stopped.folder / "summary.json").exists()
    run(stopped)
    assert results(stopped) == results(whole)
    assert history(stopped) == history(whole)


def test_a_trial_stopped_twice_with_length_buckets_and_scheduled_sampling_continues(tmp_path: Path) -> None:
    changes = {"data__min_length": 2, "model__teacher_forcing": 0.7, "model": "Bahdanau"}
    whole, stopped = small_trial(tmp_path / "whole", **changes), small_trial(tmp_path / "stopped", **changes)
    run(whole)
    run_until(stopped, 14)
    run_until(stopped, 33)
    run(stopped)
    assert results(stopped) == results(whole)


# Killed between the end of training and the summary: at the last step, and where early stopping ended it.
@pytest.mark.parametrize(
    ("changes", "steps"),
    [({}, 40), ({"trainer__max_steps": 35}, 35),
     ({"early_stopping__patience": 1, "early_stopping__min_delta": 100.0}, 20)],
)  # fmt: skip
def test_the_end_of_training_is_remembered_across_a_restart(
    finished: Finished, tmp_path: Path, changes: dict, steps: int
) -> None:
    whole, stopped = finished(**changes), small_trial(tmp_path, **changes)
    assert run(whole)["steps"] == steps

    def die_when_evaluating(share: float, note: str) -> None:
        if note == "evaluating":
            raise Killed

    with pytest.raises(Killed):
        run_trial(stopped, stopped.folder, die_when_evaluating)
    assert run(stopped)["steps"] == steps
    assert results(stopped) == results(whole)
    assert history(stopped) == history(whole)


# One step without improvement halves the learning rate, so that it is halved at steps 20 and 30, and 40 ends training.
HALVING = {
    "early_stopping__patience": 1, "early_stopping__min_delta": 100.0, "early_stopping__halvings": 2,
    "trainer__max_steps": 60, "model__schedule": "constant", "model__learning_rate": 0.004,
}  # fmt: skip


def test_training_that_ends_before_its_first_validation_is_one_line(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, trainer__max_time="00:00:00:00")
    with pytest.raises(UsageError, match=r"training ended at step 0, before .*trainer\.max_time"):
        run(trial)


def test_the_learning_rate_is_halved_before_training_ends(finished: Finished) -> None:
    trial = finished(**HALVING)
    summary = run(trial)
    assert (summary["steps"], summary["ended"]) == (40, "converged")
    rates = {int(step): float(value) for step, _, metric, value in history(trial) if metric == "learning_rate"}
    assert rates == {5: 0.0024, 10: 0.004, 15: 0.004, 20: 0.004, 25: 0.002, 30: 0.002, 35: 0.001, 40: 0.001}


# Before the first halving, at it, between the two, at the second and behind it.
@pytest.mark.parametrize("step", [13, 20, 26, 30, 37])
def test_a_trial_stopped_among_halvings_continues_to_the_same_numbers(
    finished: Finished, tmp_path: Path, step: int
) -> None:
    whole, stopped = finished(**HALVING), small_trial(tmp_path, **HALVING)
    run_until(stopped, step)
    assert run(stopped)["ended"] == "converged"
    assert results(stopped) == results(whole)
    assert history(stopped) == history(whole)


def test_a_trial_that_uses_up_its_steps_says_so(finished: Finished) -> None:
    assert run(finished())["ended"] == "budget"


def test_an_option_that_came_later_leaves_the_name_of_a_trial_as_it_was(tmp_path: Path) -> None:
    names = [small_trial(tmp_path, early_stopping__halvings=halvings).name for halvings in (0, 1)]
    assert names[0] == small_trial(tmp_path).name != names[1]


def test_a_damaged_last_checkpoint_is_set_aside_and_the_trial_begins_anew(
    finished: Finished, killed: Trial, tmp_path: Path
) -> None:
    damaged = copied(killed, tmp_path)
    last = damaged.folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    run(damaged)
    assert results(damaged) == results(finished())


# Seen by whichever comes first, a look at the training loss or a validation.
@pytest.mark.parametrize("look", [5, 1000])
def test_a_diverged_trial_says_where_and_leaves_no_summary(tmp_path: Path, look: int) -> None:
    options = {"model": "Transformer", "model__learning_rate": 1e30, "trainer__log_every_n_steps": look}
    trial = small_trial(tmp_path, **options)
    with pytest.raises(TrialDiverged):
        run(trial)
    failure = json.loads((trial.folder / "failure.json").read_text())
    assert failure["status"] == "diverged"
    assert failure["step"] == 2  # the first step itself goes too far
    assert failure["arch"] == "Transformer"
    assert not (trial.folder / "summary.json").exists()


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 1e6])
@pytest.mark.parametrize(("batches", "step"), [(1, 8), (3, 3)])
def test_the_step_of_a_diverged_trial_is_that_of_the_first_batch_that_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: float, batches: int, step: int
) -> None:
    taken = itertools.count(1)

    def diverging(model: GRU, batch: Any, batch_idx: int) -> torch.Tensor:
        return model.source_embedding.weight.sum() * 0 + (loss if next(taken) >= 8 else 1.5)

    monkeypatch.setattr(GRU, "training_step", diverging)
    trial = small_trial(tmp_path, trainer__log_every_n_steps=10, trainer__accumulate_grad_batches=batches)
    with pytest.raises(TrialDiverged, match=rf"the loss (is not finite|has exploded to .*) at step {step};"):
        run(trial)
    assert json.loads((trial.folder / "failure.json").read_text())["step"] == step


def test_a_trial_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = small_trial(tmp_path, trainer__max_steps=2)
    with monkeypatch.context() as patch:
        patch.setattr(GRU, "forward", lambda self, batch, need_attention=True: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(trial)
    failure = json.loads((trial.folder / "failure.json").read_text())
    assert (failure["status"], failure["reason"]) == ("failed", "ZeroDivisionError: division by zero")
    run(trial)
    assert not (trial.folder / "failure.json").exists()


def test_two_processes_do_not_share_a_trial(tmp_path: Path) -> None:
    trial = small_trial(tmp_path)

    def start_again(share: float, note: str) -> None:
        with pytest.raises(UsageError, match="is in use by another process"):
            run(trial)
        raise Killed

    with pytest.raises(Killed):
        run_trial(trial, trial.folder, start_again)


def test_ctrl_c_is_not_a_failure(tmp_path: Path) -> None:
    trial = small_trial(tmp_path)

    def interrupt(share: float, note: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(trial, trial.folder, interrupt)
    assert not (trial.folder / "failure.json").exists()


def test_options_of_training_take_effect(finished: Finished) -> None:
    # Behind the warm-up of ten steps, where schedules part.
    steps = {"trainer__max_steps": 15, "trainer__val_check_interval": 15}
    changes = [
        {},
        {"seed_everything": 1},
        {"model__label_smoothing": 0.1},
        {"model__weight_decay": 0.5},
        {"model__schedule": "inverse-sqrt"},
        {"model__warmup_steps": 20},
        {"model__teacher_forcing": 0.5},
        {"trainer__gradient_clip_val": 0.01},
        {"trainer__precision": "bf16-mixed"},
    ]
    assert len({results(finished(**steps, **change)) for change in changes}) == len(changes)


def test_learning_rate_warms_up_and_follows_its_schedule() -> None:
    assert [schedule_factor("constant", 4, 100)(step) for step in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1, 1, 1]
    assert schedule_factor("linear", 0, 100)(25) == pytest.approx(0.75)
    assert schedule_factor("cosine", 20, 100)(60) == pytest.approx(0.5)
    assert schedule_factor("cosine", 20, 100)(100) == pytest.approx(0)
    assert schedule_factor("inverse-sqrt", 25, 100)(99) == pytest.approx(0.5)


def test_the_command_trains_and_prints_where_the_results_are(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["fit", *arguments(tmp_path)]) == 0
    trial = small_trial(tmp_path)
    printed = capsys.readouterr()
    assert (trial.folder / "results.csv").as_posix() in printed.out
    assert re.search(r"^     5   +0\.\d{4}   +0\.\d{4}$", printed.out, re.M)
    assert trial.name in printed.err  # the progress bar
    assert main(["fit", *arguments(tmp_path)]) == 0
    assert "is complete already" in capsys.readouterr().out
    assert main(["fit", *arguments(tmp_path), "--gradients.every", "1"]) == 0
    assert "--gradients.every measures only while a model trains" in capsys.readouterr().out


def test_a_checkpoint_is_tested_at_any_length_and_gives_the_trials_own_numbers(
    finished: Finished, capsys: pytest.CaptureFixture
) -> None:
    trial = finished()
    best = checkpoint_of(trial)
    assert main(["test", f"--checkpoint={best}", "--data.eval_lengths=[9]"]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert {line[0] for line in printed} == {"5", "9"}
    with (trial.folder / "results.csv").open() as file:
        stored = {row["metric"]: float(row["value"]) for row in csv.DictReader(file) if not row["position"]}
    for length, metric, value in printed:
        if length == "5":
            assert float(value) == pytest.approx(stored[metric], abs=1e-6)
    assert main(["validate", f"--checkpoint={best}"]) == 0
    assert "greedy_token_accuracy" in capsys.readouterr().out
    assert main(["predict", f"--checkpoint={best}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 41
    source, target, _ = lines[1].split("\t")
    assert source.split()[::-1] == target.split()


def test_checkpoints_hold_nothing_but_plain_values(finished: Finished) -> None:
    trial = finished()
    for name in ("best.ckpt", "last.ckpt"):
        torch.load(trial.folder / "checkpoints" / name, weights_only=True)


def test_every_committed_configuration_resolves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_corpora(tmp_path, monkeypatch)
    configs = sorted((Path(__file__).parents[3] / "experiments" / "configs").rglob("*.yaml"))
    assert configs
    for config in configs:
        base = config.parent / "base.yaml"  # which others in its folder come behind
        before = [f"--config={base}"] if base.exists() and base != config else []
        named = [] if "class_path" in config.read_text() else ["--model=GRU"]
        trial = resolve_trial([*before, f"--config={config}", *named, f"--runs={tmp_path}"])
        assert trial.labels["task"] in {"copy", "reverse", "first-token-recall", "multi30k", "text"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_model_trains_to_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Or torch starts a process for each core, which imports torch once more.
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)
    plain = small_trial(tmp_path, model__dropout=0.0)
    compiled = small_trial(tmp_path, model__dropout=0.0, compile="true")
    assert plain.name != compiled.name
    run(plain)
    run(compiled)
    losses = [
        [float(value) for _, split, metric, value in history(trial) if (split, metric) == ("validation", "loss")]
        for trial in (plain, compiled)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
