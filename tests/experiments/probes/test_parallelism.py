"""`lengthwise parallelism`: what it counts, what it refuses, and that every row says where it was measured."""

import json
from typing import Any

import pandas as pd
import pytest
import torch

from analysis.tables.schema import PARALLELISM
from data.batch import BOS, EOS, PAD
from experiments.main import main
from experiments.probes.timing import (
    StepTime,
    TooSlowError,
    TrainingStep,
    count_flops,
    matrix_product_speed,
    peak_memory,
    time_steps,
    uniform_batch,
)
from experiments.verbs.parallelism import Measured, Point, _Machine, _parser
from tests.helpers.models import VOCAB_SIZE, make

CPU = torch.device("cpu")
SMALL = ["--lengths", "2", "4", "--batch_size", "2", "--tokens", "8", "--parameter_budget", "5000", "--repeats", "3"]
SMALL += ["--speedup_length", "2", "--threads", "1"]
WORDS = 8  # of the vocabulary; with the four reserved ids these are VOCAB_SIZE


def test_sequences_fill_the_batch_and_end_in_eos() -> None:
    batch = uniform_batch(3, 5, WORDS, CPU)
    assert batch.source.shape == batch.target_in.shape == batch.target_out.shape == (3, 5)
    assert not any((ids == PAD).any() for ids in (batch.source, batch.target_in, batch.target_out))
    assert (batch.target_in[:, 0] == BOS).all()
    assert (batch.target_out[:, -1] == EOS).all()
    torch.testing.assert_close(batch.target_in[:, 1:], batch.target_out[:, :-1])


def test_flops_of_a_gru_are_those_of_its_matrix_products() -> None:
    length, hidden = 6, 8
    step = 2 * 3 * hidden * (hidden + hidden)  # gates times input and state, a multiply-add counting two
    output = 2 * hidden * VOCAB_SIZE
    # Backward takes two products for each of forward, but for the first state, which nobody trains.
    expected = 3 * length * (2 * step + output) - 2 * 3 * hidden * hidden
    assert count_flops(make("GRU"), length, WORDS) == expected


def test_flops_of_attention_are_quadratic_in_length() -> None:
    counts = [count_flops(make("Transformer"), length, WORDS) for length in (4, 8, 12, 16)]
    second = [
        after - 2 * middle + before for before, middle, after in zip(counts, counts[1:], counts[2:], strict=False)
    ]
    attentions = 2 * 3  # in two layers of encoder and decoder, and from decoder to source
    hidden, products = 8, 2  # queries with keys, weights with values
    passes = 3  # backward takes two products for each of forward
    assert second == [2 * 4**2 * passes * attentions * products * 2 * hidden] * 2


def test_peak_memory_of_tensors_that_never_live_at_once_is_that_of_one() -> None:
    def one_after_another() -> None:
        for _ in range(3):
            torch.ones(1000)

    def at_once() -> list[torch.Tensor]:
        return [torch.ones(1000) for _ in range(3)]

    assert 4000 <= peak_memory(one_after_another, CPU) < 6000
    assert 12_000 <= peak_memory(at_once, CPU) < 14_000


def test_a_step_trains_and_leaves_no_gradient() -> None:
    model = make("GRU")
    before = model.readout.output.weight.detach().clone()
    times = TrainingStep(model, uniform_batch(2, 3, WORDS, CPU), "32-true")()
    assert min(times) > 0
    assert not torch.equal(before, model.readout.output.weight)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_bf16_computes_its_products_in_bfloat16() -> None:
    model = make("GRU")
    step = TrainingStep(model, uniform_batch(2, 3, WORDS, CPU), "bf16-mixed")
    seen = []
    model.readout.output.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    step()
    assert seen == [torch.bfloat16]


@pytest.mark.parametrize(("seconds", "expected"), [(100.0, 10), (5.0, 5), (3.0, 3)])
def test_repeats_shrink_to_fit_the_time_limit(seconds: float, expected: int) -> None:
    steps = iter([StepTime(0.5, 0.25, 0.25)] * 20)
    assert len(time_steps(lambda: next(steps), 10, seconds)) == expected


def test_a_step_that_does_not_fit_three_times_is_too_slow() -> None:
    with pytest.raises(TooSlowError, match="1 s"):
        time_steps(lambda: StepTime(0.5, 0.25, 0.25), 10, 2.9)


def test_a_point_is_refused_before_it_runs_if_the_last_one_foretells_too_much() -> None:
    options = _parser().parse_args(["--time_limit", "1", "--memory_limit", "1"])
    machine = _Machine(options)
    short, long = (Point("fixed_batch", "GRU", length, 4, 1) for length in (8, 16))
    machine._refuse(long, None)
    machine._refuse(long, Measured(short, 0.2, 2**27))
    with pytest.raises(TooSlowError, match=r"2\.0 GiB; --memory_limit is 1"):
        machine._refuse(long, Measured(short, 0.2, 2**29))
    with pytest.raises(TooSlowError, match=r"up to 1\.2 s"):
        machine._refuse(long, Measured(short, 0.3, 2**27))


@pytest.mark.slow
def test_the_table_has_every_point_with_its_machine(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("experiments.probes.timing.PRODUCT_SIZE", {"cpu": 64})
    monkeypatch.setattr("experiments.probes.timing.PRODUCT_SECONDS", 0.0)
    assert main(["parallelism", "--models", "GRU", "Transformer", *SMALL, "--output", str(tmp_path)]) == 0
    results: Any = pd.read_csv(tmp_path / "parallelism.csv")
    assert list(results) == PARALLELISM.names
    timed = results[results["sweep"] != "graph"]
    assert set(timed["device"]) == {"cpu"}
    assert set(timed["precision"]) == {"32-true"}
    assert timed["threads"].notna().all()
    steps = results[results["metric"] == "step_seconds"]
    expected = {("fixed_batch", 2, 2), ("fixed_batch", 4, 2), ("fixed_tokens", 2, 4), ("fixed_tokens", 4, 2)}
    expected |= {("batch", 2, rows) for rows in (1, 4, 16, 64)}
    assert set(steps[["sweep", "length", "batch_size"]].itertuples(index=False, name=None)) == expected
    assert (steps["lower"] <= steps["median"]).all()
    assert (steps["median"] <= steps["upper"]).all()
    assert "report:" in capsys.readouterr().out
    assert (tmp_path / "figures" / "step_time.pdf").exists()
    assert json.loads((tmp_path / "environment.json").read_text())["device"] == "cpu"
    described = pd.read_csv(tmp_path / "architectures.csv").set_index("arch")
    assert described["sequential_operations"].to_dict() == {"GRU": "O(n)", "Transformer": "O(1)"}
    assert described["attends"].to_dict() == {"GRU": False, "Transformer": True}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "Perceptron"], "--models: 'Perceptron' is unknown"),
        (["--tokens", "100"], "--tokens: 100 must be at least 1024"),
        (["--lengths", "0", "8"], "--lengths: 0 must be at least 1"),
        (["--repeats", "2"], "--repeats: 2 must be at least 3"),
        (["--time_limit", "-1"], "--time_limit: -1 must be above 0"),
        (["--models", "GRU", "--parameter_budget", "100"], "--parameter_budget: GRU cannot"),
        (["--batch_size", "many"], "--batch_size: invalid int value: 'many'"),
    ],
)
def test_bad_options_end_in_one_line_and_write_nothing(arguments, message, tmp_path, capsys) -> None:
    output = tmp_path / "out"
    assert main(["parallelism", *arguments, "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not output.exists()


def test_the_peak_is_a_plausible_number_of_operations_a_second(monkeypatch) -> None:
    monkeypatch.setattr("experiments.probes.timing.PRODUCT_SIZE", {"cpu": 128})
    monkeypatch.setattr("experiments.probes.timing.PRODUCT_SECONDS", 0.0)
    assert 1e6 < matrix_product_speed(CPU, "32-true") < 1e15
