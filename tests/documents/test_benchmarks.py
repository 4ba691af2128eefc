"""The benchmarks run as a person would run them, and their results are set beside those of other toolkits."""

import itertools
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.compare import read, table
from benchmarks.slices import run_in_slices

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, text=True, capture_output=True, check=False)


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


def test_commands_are_run_in_turn_and_compared() -> None:
    done = run("benchmarks.compare", "echo lengthwise gru tokens 30", "echo other gru tokens 20", "--rounds", "2")
    assert done.returncode == 0
    assert done.stdout.count("$ echo other gru tokens 20") == 2
    assert done.stdout.splitlines()[-1].split() == ["gru", "tokens", "30.00", "20.00", "1.50"]


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


def test_in_slices_rates_are_those_by_processor_time() -> None:
    lines = ("lengthwise gru tokens 3 # cpu=30 threads=1", "other gru tokens 9 # cpu=20.0")
    done = run("benchmarks.compare", *(f"echo '{line}'" for line in lines), "--slices", "0.5")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].split()[-3:] == ["30.00", "20.00", "1.50"]


def test_in_slices_a_line_without_processor_time_is_refused() -> None:
    done = run("benchmarks.compare", "echo other gru tokens 9", "--slices", "0.5")
    assert done.returncode == 1
    assert done.stderr == "compare: 'other gru tokens 9' has no cpu=NUMBER, which --slices needs\n"


def test_a_command_that_fails_ends_the_comparison_with_its_exit_code() -> None:
    done = run("benchmarks.compare", "exit 3")
    assert done.returncode == 1
    assert done.stderr == "compare: 'exit 3' ended with exit code 3\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "options", "metrics"),
    [
        ("training", ["--steps", "1"], {"train_tgt_tok_s"}),
        ("decoding", ["--sentences", "2"], {"greedy_sent_s_len60", "beam5_sent_s_len60"}),
    ],
)
def test_a_benchmark_prints_its_results(benchmark: str, options: list[str], metrics: set[str]) -> None:
    done = run(f"benchmarks.{benchmark}", "gru", "--repeats", "1", *options)
    assert done.returncode == 0, done.stderr
    results = read(done.stdout)
    assert set(results) == {("lengthwise", "gru", metric) for metric in metrics}
    assert min(min(values) for values in results.values()) > 0


def test_an_unknown_model_is_refused_in_one_line() -> None:
    done = run("benchmarks.decoding", "grru")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("decoding.py: error: grru is not one of gru, ")
