"""The benchmarks run as a person would run them, and their results are set beside those of other toolkits."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.compare import read, table
from benchmarks.slices import run_in_slices
from lit_models import architectures

ROOT = Path(__file__).parents[2]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a module of benchmarks/ with arguments in this process, which has paid for its imports; gives its exit code
    and what it prints.
    """
    monkeypatch.setattr("benchmarks.workload.keep_freed_memory", lambda: None)
    monkeypatch.setattr("experiments.probes.timing.PRODUCT_SIZE", {"cpu": 64})
    monkeypatch.setattr("experiments.probes.timing.PRODUCT_SECONDS", 0.0)

    def run_here(name: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
        code = 0
        try:
            import_module(f"benchmarks.{name}").main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_here


def test_result_lines_are_read_and_others_passed_over() -> None:
    output = """
# transformer: 8600000 parameters
opennmt transformer train_tgt_tok_s 1600.00 # cpu=1601 threads=1
opennmt transformer train_tgt_tok_s 1700.00
ctranslate2 transformer_float32 beam5_sent_s_len60 20
epoch one took long
"""
    assert read(output) == {
        ("opennmt", "transformer", "train_tgt_tok_s"): [1600.0, 1700.0],
        ("ctranslate2", "transformer", "beam5_sent_s_len60"): [20.0],
    }


def test_the_ratio_is_of_ours_to_the_best_of_the_others() -> None:
    values = {
        ("lengthwise", "gru", "tokens"): [90.0, 120.0, 100.0],
        ("slow", "gru", "tokens"): [10.0],
        ("quick", "gru", "tokens"): [40.0, 60.0],
        ("quick", "lstm", "tokens"): [1.0],
    }
    compared = table(values)
    assert compared.loc[("gru", "tokens"), "lengthwise"] == 100
    assert compared.loc[("gru", "tokens"), "ratio"] == 2
    assert pd.isna(compared["ratio"].loc[("lstm", "tokens")])


def test_without_another_toolkit_there_is_no_ratio() -> None:
    assert "ratio" not in table({("lengthwise", "gru", "tokens"): [1.0]})


def test_commands_are_run_in_turn_and_compared(run: Run) -> None:
    commands = "echo lengthwise gru tokens 30", "echo other gru tokens 20"
    code, printed, _ = run("compare", *commands, "--rounds", "2")
    assert code == 0
    assert printed.count("$ echo other gru tokens 20") == 2
    assert printed.splitlines()[-1].split() == ["gru", "tokens", "30.00", "20.00", "1.50"]


@pytest.mark.slow
def test_the_script_for_a_gpu_runs_dry_on_the_cpu(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--quick", "--output", str(tmp_path)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # the other core is at work on other tests
    done = subprocess.run(command, cwd=ROOT, env=one_thread, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert " FAIL " not in done.stdout
    assert "PASS gradients, padded Bahdanau" in done.stdout
    times = pd.read_csv(tmp_path / "decoding.csv")
    assert list(times.columns) == ["card", "arch", "decoder", "microseconds_a_token"]
    assert set(times["arch"]) == set(architectures())


COUNTING = "import time; [print(time.monotonic(), flush=True) or time.sleep(0.02) for _ in range(20)]"


def test_commands_in_slices_run_one_at_a_time_and_to_their_ends() -> None:
    command = f"{sys.executable} -c '{COUNTING}'"
    ended = run_in_slices([command, command], seconds=0.15)
    assert [run.exit_code for run in ended] == [0, 0]
    moments = [(float(line), number) for number, run in enumerate(ended) for line in run.output.split()]
    assert len(moments) == 40
    order = [number for _, number in sorted(moments)]
    changes = sum(first != second for first, second in itertools.pairwise(order))
    assert 1 <= changes < 20, "they took turns, and did not run side by side"


def test_in_slices_rates_are_those_by_processor_time(run: Run) -> None:
    lines = ("lengthwise gru tokens 3 # cpu=30 threads=1", "other gru tokens 9 # cpu=20.0")
    code, printed, _ = run("compare", *(f"echo '{line}'" for line in lines), "--slices", "0.5")
    assert code == 0
    assert printed.splitlines()[-1].split()[-3:] == ["30.00", "20.00", "1.50"]


def test_in_slices_a_line_without_processor_time_is_refused(run: Run) -> None:
    code, _, error = run("compare", "echo other gru tokens 9", "--slices", "0.5")
    assert code == 1
    assert error == "compare: 'other gru tokens 9' has no cpu=NUMBER, which --slices needs\n"


def test_a_command_that_fails_ends_the_comparison_with_its_exit_code() -> None:
    command = [sys.executable, "-m", "benchmarks.compare", "exit 3"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "compare: 'exit 3' ended with exit code 3\n"


@pytest.mark.parametrize(
    ("benchmark", "options", "metrics"),
    [
        ("training", ["--steps", "1"], {"train_tgt_tok_s"}),
        ("decoding", ["--sentences", "2"], {"greedy_sent_s_len60", "beam5_sent_s_len60"}),
    ],
)
def test_a_benchmark_prints_its_results(run: Run, benchmark: str, options: list[str], metrics: set[str]) -> None:
    code, printed, error = run(benchmark, "gru", "--repeats", "1", *options)
    assert code == 0, error
    results = read(printed)
    assert set(results) == {("lengthwise", "gru", metric) for metric in metrics}
    assert min(min(values) for values in results.values()) > 0


def test_an_unknown_model_is_refused_in_one_line(run: Run) -> None:
    code, _, error = run("decoding", "grru")
    assert code == 2
    assert error.splitlines()[-1].startswith("decoding.py: error: grru is not one of gru, ")
