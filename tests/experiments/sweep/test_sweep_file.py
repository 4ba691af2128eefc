"""Sweep files: what they stand for, and what is refused in one line."""

import datetime
import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from experiments.errors import UsageError
from experiments.sweep.distributions import DISTRIBUTIONS
from experiments.sweep.sweep_file import expand, read_sweep, to_arguments


def written(folder: Path, content: Any) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return path


def points(folder: Path, parameters: dict, method: str = "grid", count: int | None = None, seed: int = 0) -> list[dict]:
    return expand(read_sweep(written(folder, {"method": method, "parameters": parameters})), count, seed)


def test_a_grid_is_the_product_of_its_values_in_the_files_order(tmp_path: Path) -> None:
    trials = points(tmp_path, {"model": {"values": ["GRU", "LSTM"]}, "data.length": {"values": [5, 10]}})
    assert trials == [
        {"model": "GRU", "data.length": 5},
        {"model": "GRU", "data.length": 10},
        {"model": "LSTM", "data.length": 5},
        {"model": "LSTM", "data.length": 10},
    ]


def test_nested_and_dotted_parameters_mean_the_same(tmp_path: Path) -> None:
    nested = {"model": {"parameters": {"hidden_size": {"values": [8, 16]}, "dropout": {"value": 0.1}}}}
    dotted = {"model.hidden_size": {"values": [8, 16]}, "model.dropout": {"value": 0.1}}
    assert points(tmp_path, nested) == points(tmp_path, dotted)


def test_a_grid_enumerates_whole_numbers_and_steps(tmp_path: Path) -> None:
    trials = points(
        tmp_path, {"a": {"min": 2, "max": 4}, "b": {"distribution": "q_uniform", "min": 0, "max": 1.5, "q": 0.5}}
    )
    assert [point["a"] for point in trials[::3]] == [2, 3, 4]
    assert [point["b"] for point in trials[:3]] == [0.0, 0.5, 1.0]


def test_repeated_points_run_once_and_count_caps_a_grid(tmp_path: Path) -> None:
    assert points(tmp_path, {"a": {"values": [1, 1, 2]}}) == [{"a": 1}, {"a": 2}]
    assert points(tmp_path, {"a": {"values": [1, 2, 3]}}, count=2) == [{"a": 1}, {"a": 2}]


def test_a_repeated_point_keeps_its_first_place(tmp_path: Path) -> None:
    assert points(tmp_path, {"a": {"values": [1, 2, 1, 3]}}) == [{"a": 1}, {"a": 2}, {"a": 3}]
    few = {"a": {"values": [1, 2, 3]}}
    drawn = [points(tmp_path, few, "random", count) for count in range(1, 30)]
    assert len(drawn[-1]) == 3  # the same three points are drawn again and again
    for fewer, more in itertools.pairwise(drawn):
        assert more[: len(fewer)] == fewer


def test_true_one_and_the_text_of_it_are_different_values(tmp_path: Path) -> None:
    trials = points(tmp_path, {"a": {"values": [1, "1", True, None, [1, 40]]}})
    assert [repr(point["a"]) for point in trials] == ["1", "'1'", "True", "None", "[1, 40]"]


def test_random_draws_depend_on_the_seed_and_not_on_the_count(tmp_path: Path) -> None:
    parameters = {"a": {"min": 0.0, "max": 1.0}, "b": {"values": [1, 2, 3]}}
    few, many = (points(tmp_path, parameters, "random", count) for count in (5, 50))
    assert many[:5] == few
    assert points(tmp_path, parameters, "random", 5, seed=1) != few


def test_random_stops_at_run_cap(tmp_path: Path) -> None:
    path = written(tmp_path, {"method": "random", "run_cap": 4, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
    assert len(expand(read_sweep(path))) == 4


@pytest.mark.parametrize(("count", "trials"), [(3, 3), (9, 4)])
@pytest.mark.parametrize("method", ["random", "grid"])
def test_the_smaller_of_count_and_run_cap_counts(tmp_path: Path, method: str, count: int, trials: int) -> None:
    path = written(tmp_path, {"method": method, "run_cap": 4, "parameters": {"a": {"min": 0, "max": 10**5}}})
    assert len(expand(read_sweep(path), count)) == trials


# Settings, and the distribution function each must follow.
CONTINUOUS = [
    ("uniform", {"min": 2.0, "max": 6.0}, lambda x: (x - 2) / 4),
    ("log_uniform", {"min": -3.0, "max": 1.0}, lambda x: (math.log(x) + 3) / 4),
    ("log_uniform_values", {"min": 0.01, "max": 10.0}, lambda x: math.log(x / 0.01) / math.log(1000)),
    ("inv_log_uniform", {"min": 1.0, "max": 3.0}, lambda x: 1 - (-math.log(x) - 1) / 2),
    ("inv_log_uniform_values", {"min": 0.1, "max": 10.0}, lambda x: math.log(x / 0.1) / math.log(100)),
    ("normal", {"mu": 1.0, "sigma": 2.0}, lambda x: 0.5 * (1 + math.erf((x - 1) / 2 / math.sqrt(2)))),
    ("log_normal", {"mu": 0.0, "sigma": 1.0}, lambda x: 0.5 * (1 + math.erf(math.log(x) / math.sqrt(2)))),
    ("beta", {"a": 2.0, "b": 1.0}, lambda x: x**2),
]


@pytest.mark.parametrize(("name", "settings", "cumulative"), CONTINUOUS, ids=[name for name, *_ in CONTINUOUS])
def test_random_values_follow_their_distribution(name: str, settings: dict, cumulative: Any, tmp_path: Path) -> None:
    trials = points(tmp_path, {"x": {"distribution": name, **settings}}, "random", count=2000)
    ranks = np.sort([cumulative(point["x"]) for point in trials])
    # Kolmogorov-Smirnov: beyond this distance with a probability of one in a thousand.
    assert np.abs(ranks - (np.arange(2000) + 0.5) / 2000).max() < 1.95 / math.sqrt(2000)


@pytest.mark.parametrize("name", [name for name in DISTRIBUTIONS if name.startswith("q_")])
def test_stepped_values_are_the_plain_ones_rounded(name: str, tmp_path: Path) -> None:
    settings = {"a": 2.0, "b": 1.0} if "beta" in name else {"min": 0.5, "max": 2.0}
    settings = {"mu": 1.0, "sigma": 2.0} if "normal" in name else settings
    sweep = read_sweep(
        written(
            tmp_path,
            {
                "method": "random",
                "parameters": {
                    "x": {"distribution": name, "q": 0.25, **settings},
                },
            },
        )
    )
    plain, stepped = DISTRIBUTIONS[name.removeprefix("q_")], DISTRIBUTIONS[name]
    for u in np.linspace(0.01, 0.99, 30):
        expected = round(plain.draw(sweep.parameters[0].settings, u) / 0.25) * 0.25
        assert stepped.draw(sweep.parameters[0].settings, u) == pytest.approx(expected)


def test_categories_follow_their_probabilities(tmp_path: Path) -> None:
    weighted = {"values": ["a", "b", "c"], "probabilities": [0.7, 0.2, 0.1]}
    trials = points(tmp_path, {"x": weighted, "y": {"min": 0.0, "max": 1.0}}, "random", count=4000)
    counts = Counter(point["x"] for point in trials)
    for value, share in zip("abc", [0.7, 0.2, 0.1], strict=True):
        assert abs(counts[value] / 4000 - share) < 4 * math.sqrt(share * (1 - share) / 4000)


def test_whole_numbers_include_both_bounds(tmp_path: Path) -> None:
    trials = points(tmp_path, {"x": {"min": 1, "max": 3}, "y": {"min": 0.0, "max": 1.0}}, "random", count=300)
    assert {point["x"] for point in trials} == {1, 2, 3}


def test_the_files_command_gives_the_fixed_arguments(tmp_path: Path) -> None:
    command = ["${env}", "lengthwise", "fit", "--config", "some.yaml", "${args}"]
    path = written(tmp_path, {"method": "grid", "command": command, "parameters": {"a": {"value": 1}}})
    assert to_arguments(read_sweep(path), {"a": 1}) == ["--config", "some.yaml", "--a=1"]


def test_the_command_is_read_as_the_agent_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are words, variables are filled in anywhere, and what stands behind the parameters counts after them."""
    monkeypatch.setenv("SCRATCH", "/scratch")
    command = ["${interpreter}", "-m", "experiments.main", "fit", "--runs=${envvar:SCRATCH}/runs"]
    command += ["${args}", "--trainer.max_steps", 100]
    path = written(tmp_path, {**GOOD, "command": command})
    expected = ["--runs=/scratch/runs", "--data.length=5", "--trainer.max_steps", "100"]
    assert to_arguments(read_sweep(path), {"data.length": 5}) == expected


def test_a_variable_the_command_needs_and_the_machine_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCRATCH", raising=False)
    path = written(tmp_path, {**GOOD, "command": ["fit", "--runs", "${envvar:SCRATCH}", "${args}"]})
    with pytest.raises(UsageError, match="command: the environment variable SCRATCH is not set"):
        read_sweep(path)


def test_values_become_options_the_parser_reads(tmp_path: Path) -> None:
    point = {"model": "GRU", "a": None, "b": True, "c": [1, 40], "d": 1e-05, "e": 256}
    assert to_arguments(read_sweep(written(tmp_path, GOOD)), point) == [
        "--model=GRU",
        "--a=null",
        "--b=true",
        "--c=[1, 40]",
        "--d=1e-05",
        "--e=256",
    ]


GOOD = {"method": "grid", "parameters": {"data.length": {"values": [5]}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metod": "grid"}, "key metod is unknown; did you mean method?"),
        ({"method": "gird"}, "method: 'gird'; choose grid, random or bayes"),
        ({"method": None}, "method: missing; choose grid, random or bayes"),
        ({"parameters": {}}, "parameters: missing"),
        ({"run_cap": 0}, "run_cap: 0 is not a positive integer"),
        ({"command": ["python", "train.py"]}, "the word fit is missing"),
        ({"command": "lengthwise fit"}, "command must be a list of words"),
        ({"command": ["lengthwise", "fit", ["--config"]]}, "command must be a list of words"),
        ({"command": ["lengthwise", "fit", "--config", "some.yaml"]}, "command: end it with ${args}"),
        *(
            (
                {"command": ["lengthwise", "fit", macro]},
                f"lengthwise fit cannot read what W&B puts for {macro}; use ${{args}}",
            )
            for macro in (
                "${args_json}",
                "${args_json_file}",
                "${args_no_boolean_flags}",
                "${args_no_hyphens}",
                "${args_no_equals}",
                "${args_append_hydra}",
                "${program}",
            )
        ),
        ({"parameters": {"a": 3}}, "a: give it value, values or a distribution"),
        ({"parameters": {"a": {}}}, "a: give it value, values, or min and max"),
        ({"parameters": {"a": {"value": 1}, "b": {"vals": [1]}}}, "b: setting vals is unknown; did you mean"),
        ({"parameters": {"a": {"values": []}}}, "a: values must be a list with at least one value"),
        ({"parameters": {"a": {"values": 3}}}, "a: values must be a list"),
        ({"parameters": {"a": {"min": 3}}}, "a: int_uniform needs max"),
        ({"parameters": {"a": {"min": 3, "max": 1}}}, "a: min 3 is above max 1"),
        ({"parameters": {"a": {"min": "x", "max": 1}}}, "a: min: 'x' is not a number"),
        ({"parameters": {"a": {"distribution": "unifrom", "min": 0, "max": 1}}}, "did you mean uniform?"),
        ({"parameters": {"a": {"distribution": "uniform", "value": 1}}}, "a: uniform needs min"),
        ({"parameters": {"a": {"value": 1, "q": 2}}}, "a: q means nothing to constant"),
        ({"parameters": {"a": {"distribution": "log_uniform_values", "min": 0, "max": 1}}}, "must be above 0"),
        ({"parameters": {"a": {"values": [1, 2], "probabilities": [0.5, 0.6]}}}, "probabilities must be one number"),
        ({"parameters": {"a": {"values": [1, 2], "probabilities": [1]}}}, "probabilities must be one number"),
        ({"parameters": {"a": {"parameters": {"b": {"value": 1}}}, "a.b": {"value": 2}}}, "a.b is given twice"),
        ({"parameters": {"a": {"parameters": {"b": {"value": 1}}, "values": [1]}}}, "a: parameters must hold at least"),
        ({"parameters": {"a": {"parameters": {}}, "b": {"value": 1}}}, "a: parameters must hold at least one"),
        ({"parameters": {"a b": {"value": 1}}}, "parameters: a b is not a name"),
        ({"parameters": {"a": {"parameters": {None: {"value": 1}}}}}, "parameters: a.None is not a name"),
        ({"parameters": {"a": {"distribution": ["uniform"], "value": 1}}}, "distribution ['uniform'] is unknown"),
        ({"parameters": {"a": {"min": "1e-4", "max": 1}}}, "YAML takes it for text, write it as in 1.0e-4"),
        ({"parameters": {"a": {"min": 0.0, "max": math.inf}}}, "a: max: inf is not a number"),
        ({"parameters": {"a": {"distribution": "int_uniform", "min": 0.5, "max": 2}}}, "0.5 is not a whole number"),
        ({"parameters": {"a": {"values": [1, 2], "probabilities": [True, False]}}}, "probabilities must be one number"),
        ({"parameters": {"a": {"values": [1, datetime.date(2024, 1, 2)]}}}, "a: 2024-01-02 is no number, text"),
        ({"parameters": {"a": {"min": 0, "max": 10**310}}}, "a: max: a number too large to hold; it ends at 1.8e+308"),
        ({"parameters": {"a": {"value": {1, 2}}}}, "a: {1, 2} is no number, text"),
    ],
)
def test_mistakes_are_refused_in_one_line_that_names_file_and_key(tmp_path: Path, change: dict, message: str) -> None:
    path = written(tmp_path, {**GOOD, **change})
    with pytest.raises(UsageError) as caught:
        read_sweep(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: grid\nparameters: [\n", "sweep.yaml:3: not valid YAML"),
        ("method: grid\nmethod: random\n", "sweep.yaml:2: not valid YAML: method is given twice"),
        ("- a\n- b\n", "not a sweep file"),
        ("", "not a sweep file"),
        ("a: \x07", "not valid YAML"),
        ("method: grid\nparameters:\n  [a, b]: {value: 1}\n", "sweep.yaml:3: not valid YAML: a key must be a word"),
        ("method: " + "[" * 3000 + "]" * 3000, "sweep.yaml: nested too deeply"),
        ("name: 2024-13-45\n", "sweep.yaml: not valid YAML: month must be in"),
    ],
)
def test_files_that_are_no_sweep_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_sweep(written(tmp_path, text))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.yaml: No such file"):
        read_sweep(tmp_path / "nothing.yaml")
    with pytest.raises(UsageError, match="Is a directory"):
        read_sweep(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file in UTF-8"):
        read_sweep(tmp_path / "binary")


def test_a_grid_over_a_continuum_and_an_endless_random_search_are_refused(tmp_path: Path) -> None:
    continuum = {"parameters": {"a": {"min": 0.0, "max": 1.0}}}
    with pytest.raises(UsageError, match="a grid cannot try every value of uniform"):
        expand(read_sweep(written(tmp_path, {"method": "grid", **continuum})))
    with pytest.raises(UsageError, match="give --count or run_cap"):
        expand(read_sweep(written(tmp_path, {"method": "random", **continuum})))


@pytest.mark.parametrize(
    "settings", [{"min": 0, "max": 10**12}, {"min": -(10**300), "max": 10**300},
                 {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 1e-320}],
)  # fmt: skip
def test_a_grid_of_more_values_than_any_machine_tries_is_refused_at_once(tmp_path: Path, settings: dict) -> None:
    with pytest.raises(UsageError, match="a: a grid of more than 1,000,000 values; list fewer, or use method: random"):
        points(tmp_path, {"a": settings})


def test_the_product_of_a_grid_is_limited_too_unless_a_count_caps_it(tmp_path: Path) -> None:
    many = {name: {"min": 1, "max": 10_000} for name in "abc"}
    with pytest.raises(UsageError, match=r"a grid of 1,000,000,000,000 trials; list fewer values, or give --count"):
        points(tmp_path, many)
    assert len(points(tmp_path, many, count=3)) == 3


@pytest.mark.parametrize("count", [10**12, 10**30])
def test_a_random_sweep_of_more_trials_than_any_machine_runs_is_refused_at_once(tmp_path: Path, count: int) -> None:
    with pytest.raises(UsageError, match=f"a random sweep of {count} trials; --count and run_cap go up to 1000000"):
        points(tmp_path, {"a": {"min": 0.0, "max": 1.0}}, "random", count)


def test_a_seed_beyond_that_of_the_generator_is_refused(tmp_path: Path) -> None:
    continuum = {"a": {"min": 0.0, "max": 1.0}}
    assert len(points(tmp_path, continuum, "random", 1, seed=2**128 - 1)) == 1
    with pytest.raises(UsageError, match=r"--seed: \d+ must lie between 0 and 2\^128 - 1"):
        points(tmp_path, continuum, "random", 1, seed=2**128)


def test_a_grid_with_probabilities_is_refused_as_the_server_refuses_it(tmp_path: Path) -> None:
    weighted = {"a": {"values": [1, 2], "probabilities": [0.5, 0.5]}}
    with pytest.raises(UsageError, match="a: a grid tries every value; leave out probabilities"):
        points(tmp_path, weighted)


def test_bounds_taken_for_logarithms_that_no_number_holds_are_refused(tmp_path: Path) -> None:
    bounds = {"a": {"distribution": "log_uniform", "min": 1000, "max": 2000}}
    with pytest.raises(UsageError, match="a: log_uniform draws numbers too large to hold"):
        points(tmp_path, bounds, "random", count=1)


def test_a_random_sweep_of_the_servers_documentation_reads(tmp_path: Path) -> None:
    """Constants, lists, bounds and distributions side by side, as W&B's guide to sweep files combines them."""
    text = """
apiVersion: v1
kind: sweep
program: train.py
method: random
metric: {name: validation/loss, goal: minimize}
parameters:
  optimizer: {values: [adam, sgd]}
  dropout: {values: [0.3, 0.4, 0.5]}
  epochs: {value: 1}
  learning_rate: {distribution: uniform, min: 0, max: 0.1}
  batch_size: {distribution: q_log_uniform_values, q: 8, min: 32, max: 256}
"""
    trials = expand(read_sweep(written(tmp_path, text)), count=2000)
    assert {point["optimizer"] for point in trials} == {"adam", "sgd"}
    assert {point["dropout"] for point in trials} == {0.3, 0.4, 0.5}
    assert {point["epochs"] for point in trials} == {1}
    assert all(0 <= point["learning_rate"] <= 0.1 for point in trials)
    assert {point["batch_size"] for point in trials} == set(range(32, 257, 8))


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ({"distribution": "log_uniform", "min": 0.0001, "max": 0.01}, "1 to 1.01; log_uniform_values"),
        ({"distribution": "q_log_uniform", "min": 16, "max": 64}, "8.886e+06 to 6.235e+27; q_log_uniform_values"),
        ({"distribution": "inv_log_uniform", "min": 0.5, "max": 1}, "0.3679 to 0.6065; inv_log_uniform_values"),
        ({"distribution": "log_uniform", "min": -9.2, "max": -4.6}, None),
        ({"distribution": "log_uniform", "min": 3, "max": 6}, None),
        ({"distribution": "log_uniform_values", "min": 0.0001, "max": 0.01}, None),
    ],
)
def test_bounds_that_look_like_values_where_logarithms_are_meant_get_a_note(
    tmp_path: Path, settings: dict, drawn: str | None
) -> None:
    notes = read_sweep(written(tmp_path, {**GOOD, "parameters": {"a": settings}})).notes
    assert len(notes) == (drawn is not None)
    assert all(f"takes natural logarithms, and these draw {drawn}" in note for note in notes)
