"""`lengthwise reproduce`: the list, one reproduction from its file to its page, and its sweep as a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from analysis.reproductions.figure import reproduction_figure
from analysis.reproductions.observations import POINTS
from analysis.reproductions.page import write_page
from experiments.main import main
from experiments.reproductions.reproduction_file import names, read_reproduction
from experiments.sweep.sweep_file import read_sweep
from experiments.sweep.workers import Job, Outcome, Watcher, Work
from experiments.verbs import sweep
from tests.helpers.analysis_tables import write_trial
from tests.helpers.gradient_tables import seven_architectures, written
from tests.helpers.trials import SMALL, reproduction, reproduction_file

KEPT = json.dumps({"claims": [{"says": "x", "answer": "does not agree", "measured": "y"}], "points": []})


def test_the_list_has_every_reproduction_and_its_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "britz2017-copy").mkdir()
    (tmp_path / "britz2017-copy" / "reproduction.json").write_text(KEPT)
    assert main(["reproduce", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert len(names()) >= 10 and all(f"{name}: " in printed for name in names())
    assert "britz2017-copy: does not agree\n" in printed and printed.count(": not run yet") == len(names()) - 1


def test_a_state_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "britz2017-copy" / "reproduction.json"
    path.parent.mkdir()
    path.write_text("{")
    assert main(["reproduce", "--output", str(tmp_path)]) == 2
    assert f"error: {path}: not what lengthwise reproduce writes" in capsys.readouterr().err


def run_here(jobs: Sequence[Job], work: Work, watcher: Watcher, **_: Any) -> list[Outcome]:
    """Run jobs one after the other in this process."""
    for job in jobs:
        watcher.started(job)
        work(job.payload, job.folder, lambda share, note: None)
        watcher.ended(Outcome(job, "done"))
    return [Outcome(job, "done") for job in jobs]


def test_a_reproduction_runs_once_and_shows_theirs_beside_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweep, "run_jobs", run_here)
    options = {**SMALL, "trainer.max_steps": 2, "trainer.val_check_interval": 2}
    parameters = {name: {"value": value} for name, value in options.items()} | {"seed_everything": {"values": [0, 1]}}
    path = reproduction_file(
        tmp_path, sweep__parameters=parameters,
        lines={"fixed": {"model": "GRU"}, "attention": {"model": "GRU", "metric": "greedy_exact_match"}},
        claims=[{"says": "It copies.", "number": "fixed at 5", "between": [0.9, 1.0]}], steps="fixed",
    )  # fmt: skip
    command = ["reproduce", str(path), "--output", str(tmp_path), "--workers", "1"]
    assert main(command) == 0
    assert "does not agree: fixed at 5" in capsys.readouterr().out
    folder = tmp_path / "somebody2015-copy"
    kept = json.loads((folder / "reproduction.json").read_text())
    assert kept["answer"] == "does not agree" and kept["points"][0]["line"] == "fixed" and kept["processor"]
    chart = "reproduction_somebody2015_copy"
    for name in (f"figures/{chart}.png", f"figures/{chart}.pdf", f"latex/{chart}.tex", "reproduction.html"):
        assert (folder / name).stat().st_size > 100
    points = pd.read_csv(folder / "figures" / f"{chart}.csv")
    assert set(points["source"]) == {"measured", "published"} and 26.75 in set(points["mean"])
    assert "| attention | 10 | 26.75 | - | - | - |" in (folder / "reproduction.md").read_text()
    assert main(command) == 0
    assert "2 of them complete already" in capsys.readouterr().err


def small_file(folder: Path, max_steps: int) -> Path:
    """A reproduction of two seeds that takes a second."""
    options = {**SMALL, "trainer.max_steps": max_steps, "trainer.val_check_interval": 2}
    parameters = {name: {"value": value} for name, value in options.items()} | {"seed_everything": {"values": [0, 1]}}
    return reproduction_file(
        folder, sweep__parameters=parameters, lines={"fixed": {"model": "GRU"}}, steps="fixed", published=None,
        claims=[{"says": "It copies.", "number": "fixed at 5", "between": [0.9, 1.0]}],
    )  # fmt: skip


def test_only_trials_of_the_sweep_as_the_file_now_describes_it_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweep, "run_jobs", run_here)
    folder = tmp_path / "somebody2015-copy"
    counted = []
    for max_steps, options in ((2, []), (3, []), (2, ["--show"]), (4, ["--show"])):
        path = small_file(tmp_path, max_steps)
        assert main(["reproduce", str(path), "--output", str(tmp_path), *options]) == 0
        seeds = [point["seeds"] for point in json.loads((folder / "reproduction.json").read_text())["points"]]
        _, _, left_out = capsys.readouterr().out.partition("that are not of this sweep, left out: ")
        counted.append((seeds, left_out.partition("\n")[0]))
    assert counted == [([2], ""), ([2], "2"), ([2], "2"), ([], "4")]


def test_trials_on_files_that_are_elsewhere_are_shown_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trial(tmp_path / "somebody2015-copy")
    path = reproduction_file(tmp_path, **{"sweep__parameters__data.train": {"value": "elsewhere.en"}})
    assert main(["reproduce", str(path), "--output", str(tmp_path), "--show"]) == 0
    printed = capsys.readouterr()
    assert "fixed" in printed.out and "left out" not in printed.out
    assert f"all trials in {tmp_path / 'somebody2015-copy'} are taken for those of the sweep; {path}" in printed.err


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"lines__fixed": {"model": "GRU", "model.hiden_size": 8}},
            "lines.fixed: model.hiden_size is no option of its trials; did you mean model.hidden_size?",
        ),
        ({"x": "model.hiden_size"}, "x: model.hiden_size is no option of its trials; did you mean model.hidden_size?"),
        (
            {"lines__fixed": {"model": "GRU", "data.length": 12}},
            "lines.fixed: no trial of the sweep has model GRU, data.length 12",
        ),
        (
            {"claims": [{"says": "x", "number": "fixed at 11", "between": [0, 1]}]},
            "claims[1].number: 'fixed at 11' is not measured; fixed is at 10",
        ),
        ({"sweep__parameters": {"model": {"value": "GRUU"}}}, "sweep: --model: "),
        ({"sweep__parameters": {"data.taks": {"value": "copy"}}}, "sweep: "),
    ],
    ids=["option", "axis", "line", "place", "model of the sweep", "option of the sweep"],
)
def test_what_the_trials_will_not_measure_is_said_before_they_are_trained(
    changes: dict[str, Any], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = reproduction_file(tmp_path, **{"published": None, **changes})
    assert main(["reproduce", str(path), "--output", str(tmp_path / "runs")]) == 2
    assert f"error: {path}: {line}" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/*/"))


def test_lines_take_the_trials_and_the_metric_that_their_settings_name(tmp_path: Path) -> None:
    for width, accuracy in ((16, 0.25), (64, 0.75)):
        for seed in (0, 1):
            rows = [(10, None, "greedy_token_accuracy", accuracy), (10, None, "greedy_exact_match", 0.5)]
            model = {"hidden_size": width}
            write_trial(tmp_path / "runs", seed=seed, rows=rows, model=model, suffix=str(width))
    lines = {
        "wide": {"model": "GRU", "model.hidden_size": 64},
        "exact": {"model": "GRU", "metric": "greedy_exact_match"},
    }
    claims = [{"says": "It grows.", "number": "wide at 64", "between": [0.7, 0.8]}]
    read = reproduction(tmp_path, lines=lines, claims=claims, x="model.hidden_size", published=None)
    printed = write_page(read, tmp_path / "runs", "lengthwise reproduce")
    assert "agrees: wide at 64: 0.75" in printed
    points = pd.read_csv(tmp_path / "runs" / "figures" / "reproduction_somebody2015_copy.csv")
    shown = list(points[["line", "x", "mean"]].itertuples(index=False, name=None))
    assert shown == [("wide", 64, 0.75), ("exact", 16, 0.5), ("exact", 64, 0.5)]


def test_what_was_tried_stands_on_the_page_of_a_disagreement(tmp_path: Path) -> None:
    claims = [{"says": "It copies.", "number": "fixed at 10", "between": [0.99, 1.0]}]
    for seed in (0, 1):
        write_trial(tmp_path / "runs", seed=seed)
    write_page(reproduction(tmp_path, claims=claims, tried="Twice the width."), tmp_path / "runs", "again")
    assert "**What was tried.** Twice the width." in (tmp_path / "runs" / "reproduction.md").read_text()


def test_the_sweep_is_a_file_that_wandb_and_the_local_runner_read(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    assert main(["reproduce", "grazzi2024-parity", "--sweep-file", str(path)]) == 0
    written = read_sweep(path)
    assert written.name == "reproduce-grazzi2024-parity" and yaml.safe_load(path.read_text())["project"] == "lengthwise"
    assert {parameter.name for parameter in written.parameters} >= {"data.task", "model.negative_eigenvalues"}


def test_a_probe_has_no_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "pascanu2013-vanishing", "--sweep-file", str(tmp_path / "sweep.yaml")]) == 2
    assert "--sweep-file: pascanu2013-vanishing trains nothing; lengthwise gradients" in capsys.readouterr().err


def test_the_gradient_of_a_probe_is_a_share_of_that_at_the_least_distance(tmp_path: Path) -> None:
    written(seven_architectures(), tmp_path / "runs")
    claims = [{"says": "It decays.", "ratio": ["RNN at 2", "RNN at 1"], "between": [0, 0.99]}]
    path = reproduction_file(
        tmp_path, sweep=None, paper=None, probe=["gradients"], x="distance", metric="embedding_gradient",
        lines={"RNN": {"model": "VanillaRNN"}}, claims=claims, published=None,
    )  # fmt: skip
    assert "agrees: RNN at 2" in write_page(read_reproduction(path), tmp_path / "runs", "again")


def drawn(folder: Path, tasks: Sequence[str], models: Sequence[str], steps: str):
    """The figure of a line for each task and model, none of which had converged."""
    lines = {f"{model} {task}": {"model": model, "data.task": task} for task in tasks for model in models}
    claims = [{"says": "It copies.", "number": f"{models[0]} {tasks[0]} at 10", "between": [0.0, 1.0]}]
    read = reproduction(folder, lines=lines, claims=claims, published=None, steps=steps)
    points = pd.DataFrame([(name, 10.0, 0.5, 0.4, 0.6, 3, 3, 0.6) for name in lines], columns=POINTS)
    chart = reproduction_figure(read, points)
    assert chart is not None
    return chart.figure


def test_tasks_have_a_panel_each_and_lines_the_names_of_their_architectures(tmp_path: Path) -> None:
    figure = drawn(tmp_path, ["copy", "reverse"], ["GRU", "LSTM"], "until-converged")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["copy", "reverse"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["GRU", "LSTM"]


def test_one_task_has_one_panel_and_its_lines_their_own_names(tmp_path: Path) -> None:
    figure = drawn(tmp_path, ["copy"], ["GRU", "LSTM"], "until-converged")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["GRU copy", "LSTM copy"]


@pytest.mark.parametrize(("steps", "rings"), [("fixed", 0), ("until-converged", 1)])
def test_a_trial_that_used_up_its_steps_is_marked_unless_the_paper_fixes_them(
    steps: str, rings: int, tmp_path: Path
) -> None:
    (axes,) = drawn(tmp_path, ["copy"], ["GRU"], steps).axes
    assert len([line for line in axes.lines if "stopped" in str(line.get_gid())]) == rings
