"""A local sweep from its file to its folders."""

import json
from pathlib import Path

import pytest
import yaml

from experiments.files import exclusive_lock
from experiments.main import main
from experiments.verbs.sweep import make_trials
from tests.helpers.text_files import stand_in_corpora
from tests.helpers.trials import run_sweep, sweep_file, write_untrained

ROOT = Path(__file__).parents[3]
SHORT = {"trainer__max_steps": {"value": 10}}


def summaries(output: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in output.glob("*/summary.json")}


def test_a_sweep_runs_what_is_missing_and_tells_what_happened(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "runs"
    smaller = sweep_file(tmp_path, model={"values": ["GRU", "LuongGlobal"]}, **SHORT)
    assert run_sweep(smaller, output, "--workers", "2") == 0
    first = summaries(output)
    assert {name.partition("-")[0] for name in first} == {"GRU", "LuongGlobal"}
    assert "2 trials done" in capsys.readouterr().err
    larger = sweep_file(tmp_path, model={"values": ["GRU", "LuongGlobal", "VanillaRNN"]}, **SHORT)
    assert run_sweep(larger, output, "--workers", "2") == 0
    printed = capsys.readouterr().err
    assert "3 trials in" in printed
    assert "2 of them complete already" in printed
    assert "[1/1] VanillaRNN" in printed
    assert len(summaries(output)) == 3
    assert first.items() <= summaries(output).items()


def test_a_sweep_gives_the_same_numbers_as_the_trial_alone(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, model={"values": ["Transformer"]}, **SHORT)
    run_sweep(path, tmp_path / "sweep", "--workers", "1")
    (trial,), _, _ = make_trials(path, tmp_path / "alone", None, 0)
    arguments = [f"--config={tmp_path / 'sweep' / trial.name / 'config.yaml'}", f"--runs={tmp_path / 'alone'}"]
    assert main(["fit", *arguments]) == 0
    tables = [(tmp_path / where / trial.name / "results.csv").read_text() for where in ("sweep", "alone")]
    assert tables[0] == tables[1]


def test_a_trial_that_diverges_is_recorded_and_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    output = tmp_path / "runs"
    path = sweep_file(
        tmp_path, model={"values": ["Transformer"]}, model__learning_rate={"values": [1e30, 0.001]}, **SHORT
    )
    assert run_sweep(path, output, "--workers", "1") == 1
    assert len(summaries(output)) == 1
    (failure,) = output.glob("*/failure.json")
    assert json.loads(failure.read_text())["status"] == "diverged"
    printed = capsys.readouterr().err
    assert "1 trials done" in printed
    assert "1 failed" in printed
    assert str(failure.parent / "log.txt") in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"values": ["GRU", "GRUU"]}}, "--model: 'GRUU' is unknown; did you mean GRU?"),
        ({"data__task": {"value": "revers"}}, "data.task: 'revers' is unknown"),
        ({"data__lenght": {"value": 5}}, "--data.lenght is not an option; did you mean --data.length?"),
        ({"model__cell": {"value": "gru"}}, "--model.cell is not an option"),
        ({"data__length": {"values": [5, 0]}}, "data.length: 0 is too short"),
    ],
)
def test_a_mistake_in_any_trial_is_found_before_the_first_one_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture, change: dict, message: str
) -> None:
    output = tmp_path / "runs"
    path = sweep_file(tmp_path, **change)
    assert run_sweep(path, output) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert str(path) in printed
    assert message in printed
    assert not output.exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert run_sweep(sweep_file(tmp_path), tmp_path / "file" / "runs") == 2
    assert "--output: cannot write" in capsys.readouterr().err


def test_the_default_folder_stays_below_runs(tmp_path: Path) -> None:
    path = sweep_file(tmp_path)
    path.write_text("name: ../../elsewhere\n" + path.read_text())
    _, runs, _ = make_trials(path, None, None, 0)
    assert runs == Path("runs") / "-elsewhere"


def test_a_sweep_started_from_another_folder_says_where_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_sweep(ROOT / "experiments" / "sweeps" / "by_length.yaml", tmp_path / "runs") == 2
    error = capsys.readouterr().err
    assert error.endswith(f" does not exist or is no file here; start the sweep in {ROOT}\n") and error.count("\n") == 1


def test_two_sweeps_do_not_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "runs"
    with exclusive_lock(output, "--output"):
        assert run_sweep(sweep_file(tmp_path), output) == 2
    assert f"--output: {output} is in use by another process" in capsys.readouterr().err
    assert not list(output.glob("*/"))


def committed_sweeps() -> list[Path]:
    return [ROOT / "sweep.yaml", *sorted((ROOT / "experiments" / "sweeps").glob("*.yaml"))]


@pytest.mark.parametrize("path", committed_sweeps(), ids=lambda path: path.name)
def test_every_committed_sweep_resolves(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every combination of models, tasks and configurations with the greatest of numbers, and one with the least."""
    stand_in_corpora(tmp_path, monkeypatch)
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")  # sweeps name their configurations from the root
    parameters = yaml.safe_load(path.read_text())["parameters"]
    for name in filter(None, parameters.get("init_from", {}).get("values", [])):
        write_untrained(tmp_path / name)
    listed = {name: settings["values"] for name, settings in parameters.items() if "values" in settings}
    numbers = {
        name: values for name, values in listed.items() if all(isinstance(value, int | float) for value in values)
    }
    least = {name: [min(values) if name in numbers else values[0]] for name, values in listed.items()}
    names = set()
    for chosen in ({name: [max(values)] for name, values in numbers.items()}, least):
        content = yaml.safe_load(path.read_text())
        content["parameters"].update({name: {"values": values} for name, values in chosen.items()})
        (tmp_path / path.name).write_text(yaml.safe_dump(content))
        trials, _, _ = make_trials(tmp_path / path.name, tmp_path, count=None, seed=0)
        assert len({trial.name for trial in trials}) == len(trials)
        names |= {trial.name for trial in trials}
    assert len(names) >= (4 if path.stem == "pretraining" else 7)  # three beginnings of a model, or seven architectures
