"""Fits are checked against laws written down beforehand, figures against the rows they show."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.errors import ReportError
from analysis.figures.registry import section_charts
from analysis.figures.style import styles
from analysis.report.command import main as report
from analysis.report.probe_pages import write_parallelism
from analysis.report.sections.probes.parallelism import crossing_table, serial_table, vaswani_table
from analysis.statistics.time_fits import (
    Line,
    crossing,
    doubling_law,
    exact_line,
    law_text,
    serial_fraction,
    speedups,
    upper_exponent,
)
from analysis.tables.architectures import Architectures
from analysis.tables.probe_tables import load
from analysis.tables.schema import PARALLELISM

LENGTHS = (8, 16, 32, 64, 128)
CPU = {"device": "cpu", "processor": "Epyc", "threads": 2, "precision": "32-true"}
CUDA = {"device": "cuda", "processor": "H200", "threads": 1, "precision": "bf16-mixed"}


def seconds(arch: str, length: int) -> float:
    """Recurrence is linear in length, attention quadratic and dearer from 50 tokens on."""
    return length / 50 if arch == "GRU" else (length / 50) ** 2


def row(machine, sweep, arch, length, metric, value, batch_size=4, **more):
    return {**machine, "sweep": sweep, "arch": arch, "hidden_size": 8, "num_params": 99, "length": length,
            "batch_size": batch_size, "metric": metric, "median": value, **more}  # fmt: skip


def measurements(machine=CPU) -> list[dict]:
    rows = []
    for arch in ("GRU", "Transformer"):
        for length in LENGTHS:
            time = seconds(arch, length)
            for sweep in ("fixed_batch", "fixed_tokens"):
                spread = {"lower": 0.9 * time, "upper": 1.2 * time, "repeats": 5}
                rows.append(row(machine, sweep, arch, length, "step_seconds", time, **spread))
                rows.append(row(machine, sweep, arch, length, "peak_memory_bytes", 2**20 * length))
                rows.append(row(machine, sweep, arch, length, "flops", 10 * time))
        for threads, speed in ((1, 100.0), (2, 160.0)):
            rows.append(row({**machine, "threads": threads}, "threads", arch, 8, "tokens_per_second", speed))
    return rows


def graph() -> list[dict]:
    same = {"device": "any", "precision": "exact"}
    counts = {
        ("GRU", "sequential_depth"): lambda n: 18 * n + 4, ("GRU", "path_length"): lambda n: 6 * n - 1,
        ("Transformer", "sequential_depth"): lambda n: 60, ("Transformer", "path_length"): lambda n: max(12, n - 8),
    }  # fmt: skip
    return [row(same, "graph", arch, n, metric, of(n), 1) for (arch, metric), of in counts.items() for n in LENGTHS]


def table_of(*rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame([measured for some in rows for measured in some], columns=PARALLELISM.names)


@pytest.fixture
def results() -> pd.DataFrame:
    return table_of(measurements(), graph())


def test_the_exponent_of_a_power_law_is_found() -> None:
    fit = upper_exponent(LENGTHS, [3 * n**1.5 for n in LENGTHS])
    assert fit is not None
    assert fit.value == pytest.approx(1.5)
    assert fit.low == pytest.approx(fit.high)


def test_only_the_upper_range_is_fitted() -> None:
    values = [1000.0, *(float(n) for n in LENGTHS[1:])]  # a fixed cost at 8, which is less than an eighth of 128
    fit = upper_exponent(LENGTHS, values)
    assert fit is not None
    assert (fit.value, fit.points) == (pytest.approx(1.0), 4)


def test_the_interval_is_the_textbooks() -> None:
    # x = 0, 1, 2 and y = 0, 1, 1 in units of log 2: slope 1/2, squares of residuals 1/6, t(1) = 12.7062.
    fit = upper_exponent([1, 2, 4], [1, 2, 2])
    assert fit is not None
    assert fit.value == pytest.approx(0.5)
    assert fit.high - fit.value == pytest.approx(12.7062 * math.sqrt(1 / 6 / 2), rel=1e-5)


def test_two_points_have_an_exponent_without_interval_and_one_has_none() -> None:
    fit = upper_exponent([4, 8], [1, 2])
    assert fit is not None
    assert fit.value == pytest.approx(1)
    assert math.isnan(fit.low)
    assert upper_exponent([4], [1]) is None
    with pytest.raises(ValueError, match="above 0"):
        upper_exponent([4, 8], [0, 1])


@pytest.mark.parametrize(
    ("counts", "expected"), [([7, 7, 7], (0, 7)), ([9, 17, 33], (1, 1)), ([9, 17, 34], None), ([9, 10, 11], None)]
)
def test_a_line_is_exact_or_none(counts, expected) -> None:
    assert exact_line([8, 16, 32], counts) == expected
    assert exact_line([8], [7]) is None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([70, 76, 82, 88], (8, Line(6, 52))),
        ([72, 76, 82, 88], (16, Line(6, 52))),  # from its second length on
        ([70, 76, 82, 89], None),
        ([7, 7, 7, 7], None),
        ([9, 17, 33, 65], None),
    ],
)
def test_a_law_of_doublings_is_exact_from_some_length_on_or_none(counts, expected) -> None:
    assert doubling_law([8, 16, 32, 64], counts) == expected
    assert doubling_law([8, 16, 32, 65], counts) is None


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([10, 18, 34, 66], "1 n + 2"), ([70, 76, 82, 88], "6 log₂ n + 52"),
        ([72, 76, 82, 88], "6 log₂ n + 52 from 16 on"), ([7, 7, 7, 7], "7"), ([5, 9, 8, 7], "5 to 9"),
    ],
)  # fmt: skip
def test_a_count_is_written_as_a_function_of_the_length(counts, text) -> None:
    rows = [row({"device": "any"}, "graph", "A", n, "sequential_depth", count, 1)
            for n, count in zip([8, 16, 32, 64], counts, strict=True)]  # fmt: skip
    assert law_text(table_of(rows), "A", "sequential_depth") == text


def test_two_power_laws_cross_where_they_are_equal() -> None:
    length = crossing(LENGTHS, [(n / 50) ** 2 for n in LENGTHS], [n / 50 for n in LENGTHS])
    assert length == pytest.approx(50)


@pytest.mark.parametrize("first", [0.5, 2.0])
def test_lines_that_do_not_cross_within_have_no_crossing(first) -> None:
    assert crossing([8, 16], [first, first], [1, 1]) is None


def test_the_last_crossing_counts() -> None:
    assert crossing([1, 2, 4, 8], [2, 0.5, 0.5, 2], [1, 1, 1, 1]) == pytest.approx(math.sqrt(32))


@pytest.mark.parametrize("serial", [0.0, 0.25, 1.0])
def test_the_serial_fraction_inverts_amdahls_law(serial) -> None:
    speedup = 1 / (serial + (1 - serial) / 8)
    assert serial_fraction(speedup, 8) == pytest.approx(serial)
    with pytest.raises(ValueError, match="1 workers"):
        serial_fraction(1, 1)


def test_table_1_has_fitted_exponents_and_exact_laws(results) -> None:
    table = vaswani_table(results, Architectures())
    gru, transformer = table.rows
    assert gru[0] == "GRU"
    assert (gru[2], transformer[2]) == ("1.00 [1.00, 1.00]", "2.00 [2.00, 2.00]")
    assert (gru[5], transformer[5]) == ("18 n + 4", "60")
    assert (gru[7], transformer[7]) == ("6 n - 1", "12 to 120")
    assert len(table.header) == len(gru)


def test_an_architecture_nobody_has_heard_of_has_no_theory(results) -> None:
    table = vaswani_table(results.assign(arch=results["arch"].replace("GRU", "Newcomer")), Architectures())
    assert [line[4] for line in table.rows if line[0] == "Newcomer"] == ["-"]


def test_crossings_pair_constant_depth_with_growing_depth(results) -> None:
    assert crossing_table(results, Architectures()).rows == [
        ("Transformer", "GRU", "cpu, 2 threads, 32-true", "50", "50")
    ]


def test_crossings_outside_the_lengths_say_so(results) -> None:
    short = results[results["length"] < 50]
    assert crossing_table(short, Architectures()).rows[0][-1] == "not within 8 to 32"


def test_speedups_are_over_one_worker_with_amdahls_fraction(results) -> None:
    workers = speedups(results).query("arch == 'GRU'").set_index("workers")
    assert workers["speedup"].to_dict() == {1: 1.0, 2: 1.6}
    assert workers.loc[2, "serial_fraction"] == pytest.approx(0.25)
    assert serial_table(results, Architectures()).rows[0] == ("GRU", "cpu, 32-true", "2 threads", "1.60", "0.25")


def test_batches_timed_with_different_threads_are_different_lines() -> None:
    rows = [
        row({**CPU, "threads": threads}, "batch", "GRU", 8, "tokens_per_second", speed, batch_size)
        for threads, batch_size, speed in ((1, 1, 10.0), (1, 4, 20.0), (2, 1, 10.0), (2, 4, 40.0))
    ]
    speedup = speedups(table_of(rows)).set_index(["threads", "workers"])["speedup"]
    assert speedup.to_dict() == {(1, 1): 1, (1, 4): 2, (2, 1): 1, (2, 4): 4}


def test_figures_show_the_rows_they_are_made_of(results) -> None:
    charts = {chart.name: chart for chart in section_charts("parallelism", Architectures(), parallelism=results)}
    assert list(charts) == ["step_time", "sequential_depth", "memory", "speedup"]
    assert set(charts["step_time"].points["metric"]) == {"step_seconds"}
    containers: Any = charts["step_time"].figure.axes[0].containers
    drawn = {
        container.get_label(): np.column_stack(container.lines[0].get_data()).astype(float) for container in containers
    }
    for arch, look in styles(["GRU", "Transformer"], architectures=Architectures()).items():
        np.testing.assert_allclose(drawn[look.name], [(n, seconds(arch, n)) for n in LENGTHS])
    containers = charts["memory"].figure.axes[0].containers
    memory = containers[0].lines[0].get_ydata().astype(float)
    np.testing.assert_allclose(memory, LENGTHS)  # MiB


def test_devices_never_share_a_panel() -> None:
    both = table_of(measurements(CPU), measurements(CUDA))
    chart = next(
        chart for chart in section_charts("parallelism", Architectures(), parallelism=both) if chart.name == "step_time"
    )
    assert len(chart.figure.axes) == 4
    for axes in chart.figure.axes:
        assert len(axes.containers) == 2  # one line an architecture
    titles = [axes.get_title(loc="left") for axes in chart.figure.axes]
    assert [("Epyc, 2 threads, 32-true" in title, "H200, bf16-mixed" in title) for title in titles] == [
        (True, False), (True, False), (False, True), (False, True),
    ]  # fmt: skip


def test_the_page_is_rebuilt_from_the_table_alone(results, tmp_path) -> None:
    skipped = row(CPU, "fixed_batch", "GRU", 256, "skipped", math.nan, note="a step would take up to 60 s")
    table_of(results.to_dict("records"), [skipped]).to_csv(tmp_path / PARALLELISM.file, index=False)
    shown = write_parallelism([tmp_path], tmp_path / "out", Architectures())
    text = (tmp_path / "out" / "parallelism.md").read_text()
    assert "18 n + 4" in text
    assert "a step would take up to 60 s" in text
    for name in ("step_time", "sequential_depth", "memory", "speedup"):
        assert f"(figures/{name}.png)" in text
        for suffix in ("png", "pdf", "csv"):
            assert (tmp_path / "out" / "figures" / f"{name}.{suffix}").exists()
    assert "report:" in shown


def test_a_folder_without_the_table_ends_in_one_line(tmp_path, capsys) -> None:
    assert report([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / PARALLELISM.file).write_text("device,arch\ncpu,GRU\n")
    with pytest.raises(ReportError, match="no column 'processor'"):
        load(PARALLELISM, [tmp_path])
