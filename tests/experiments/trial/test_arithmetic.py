"""Where a trial computes and how: device, precision and determinism are options, and say so in what a trial leaves."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.errors import UsageError
from experiments.sweep.workers import Job, run_jobs
from experiments.trial import environment
from experiments.trial.environment import graphics_cards, set_arithmetic
from experiments.verbs.sweep import make_trials
from lit_models.probes.gradient_flow import embedding_gradients
from tests.helpers.models import make, random_batch
from tests.helpers.processes.workers import act
from tests.helpers.trials import checkpoint_of, run, small_trial, sweep_file


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    set_arithmetic()


def rounding() -> tuple[bool, bool]:
    return bool(torch.backends.cuda.matmul.allow_tf32), bool(torch.backends.cudnn.allow_tf32)


def test_single_precision_is_single_precision_in_all_layers_unless_tf32_is_asked_for(tmp_path: Path) -> None:
    set_arithmetic(tf32=True)
    assert rounding() == (True, True)
    summary = run(small_trial(tmp_path, trainer__max_steps=1))
    assert rounding() == (False, False)
    assert (summary["device"], summary["precision"], summary["tf32"]) == ("cpu", "32-true", False)
    embedding_gradients(make("GRU"), random_batch([(3, 2)]))
    assert rounding() == (False, False)
    assert torch.backends.cudnn.enabled


@pytest.mark.parametrize(("precision", "kind"), [("64-true", torch.float64), ("bf16-true", torch.bfloat16)])
def test_a_trial_computes_in_the_precision_asked_for(tmp_path: Path, precision: str, kind: torch.dtype) -> None:
    trial = small_trial(tmp_path, trainer__max_steps=1, trainer__precision=precision)
    assert run(trial)["precision"] == precision
    weights = torch.load(checkpoint_of(trial), weights_only=True)["state_dict"].values()
    assert {weight.dtype for weight in weights} == {kind}


def test_where_a_trial_runs_is_not_in_its_name_but_how_it_rounds_is(tmp_path: Path) -> None:
    plain = small_trial(tmp_path)
    assert plain.name == "GRU-reverse-L5-s0-0cb7e882"  # as it was before there were these options
    assert small_trial(tmp_path, accelerator="auto").name == plain.name
    assert small_trial(tmp_path, tf32="false").name == plain.name
    assert small_trial(tmp_path, tf32="true").name != plain.name
    assert small_trial(tmp_path, accelerator="auto", cuda_graphs="true").name == plain.name


def test_the_accelerator_is_the_cpu_unless_another_is_chosen(tmp_path: Path) -> None:
    assert small_trial(tmp_path, trainer__accelerator=None).config["trainer"]["accelerator"] == "cpu"
    chosen = small_trial(tmp_path, accelerator="auto").config
    assert (chosen["trainer"]["accelerator"], chosen["accelerator"]) == ("auto", None)
    [trial], _, _ = make_trials(sweep_file(tmp_path), tmp_path / "runs", None, 0, accelerator="auto")
    assert trial.config["trainer"]["accelerator"] == "auto"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^trainer: .*gpu") as error:
        small_trial(tmp_path, accelerator="gpu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "trainer.accelerator is cpu"),
        ({"accelerator": "auto", "trainer__devices": 2}, "trainer.devices is 2"),
        ({"accelerator": "auto", "compile": "true"}, "compile is true"),
    ],
)
def test_what_steps_are_not_replayed_on_or_with_is_refused_in_one_line(
    options: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"^--cuda_graphs: it needs one GPU and no compiler, but {why}$"):
        small_trial(tmp_path, **options, cuda_graphs="true")


def test_deterministic_sets_all_that_it_takes(tmp_path: Path) -> None:
    trial = small_trial(tmp_path, deterministic="true", trainer__max_steps=1)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    set_arithmetic()
    torch.backends.cudnn.benchmark = True
    run(trial)
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.backends.cudnn.benchmark


def test_workers_share_out_the_gpus(tmp_path: Path) -> None:
    jobs = [
        Job(name, tmp_path / name, {"do": "see", "other": str(tmp_path / other / "card")})
        for name, other in ("ab", "ba")
    ]
    run_jobs(jobs, act, workers=2, cards=["4", "7"])
    assert {(tmp_path / name / "card").read_text() for name in "ab"} == {"4", "7"}


def test_the_gpus_of_a_process_are_those_it_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert graphics_cards() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8932f937")
    assert graphics_cards() == ["3", "GPU-8932f937"]
