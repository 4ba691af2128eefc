"""`lengthwise parallelism`: what a training step costs at each length, and what in it has to wait for what."""

import argparse
import math
import os
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from tqdm import tqdm

from analysis.report.probe_pages import write_parallelism
from analysis.tables.schema import PARALLELISM
from experiments.config.arguments import OneLineParser, require_architectures, require_at_least, require_threads
from experiments.config.widths import nearest_width, pick_width, vocabulary_sizes
from experiments.errors import UsageError
from experiments.files import whole_file
from experiments.machine import available_cores, processor
from experiments.probes.probe_folder import probe_folder, write_origin
from experiments.probes.timing import (
    PRECISIONS,
    TooSlowError,
    TrainingStep,
    count_flops,
    matrix_product_speed,
    peak_memory,
    time_steps,
    uniform_batch,
)
from experiments.trial.environment import device_name, set_arithmetic
from lit_models import LitSeq2Seq, architectures
from lit_models.probes.sequential_depth import path_lengths, sequential_depth

LENGTHS = [8, 16, 32, 64, 128, 256, 512, 1024]
FURTHER_ON_A_GPU = [2048, 4096]
LONGEST_GRAPHS = 1024  # tokens; by then the law is known, and a longer graph takes minutes
LONGEST_PATHS = 32  # path lengths take a pass over the graph for each target position
SMALL_BUDGET = 5_000  # parameters of the models whose graphs are read: depth does not depend on the width
BATCH_SIZES = (1, 4, 16, 64)
TOKENS = 2048
GIBIBYTE = 2**30


class Point(NamedTuple):
    """One thing to time: `sweep` is fixed_batch, fixed_tokens, threads or batch, `rows` the sequences a batch."""

    sweep: str
    arch: str
    length: int
    rows: int
    threads: int


@dataclass
class Measured:
    """What is known of the last point of a line, to foresee what the next one takes."""

    point: Point
    seconds: float
    memory: int


def main(arguments: list[str]) -> int:
    """Measure, write the table, and draw it.

    Raises:
        UsageError: bad input, in one line.
    """
    options = _checked(_parser().parse_args(arguments))
    set_arithmetic()
    try:
        with probe_folder(options.output):
            rows = _measure(options)
            with whole_file(options.output / PARALLELISM.file) as partial:
                pd.DataFrame(rows, columns=PARALLELISM.names).to_csv(partial, index=False, lineterminator="\n")
            models = [architectures()[name] for name in options.models]
            stated = write_origin(options.output, models, device_name(torch.device(options.device)))
            print(write_parallelism([options.output], options.output, stated))
    except KeyboardInterrupt:
        print("\nlengthwise parallelism: stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every row of the table."""
    machine = _Machine(options)
    points = _points(options)
    known = architectures()
    with tqdm(total=len(options.models) + len(points), unit="point") as bar:
        rows = []
        for name in options.models:
            bar.set_description(f"{name}, graph")
            rows += _graph_rows(known[name], options)
            bar.update()
        for threads in options.threads:
            rows.append(machine.peak_row(threads))
        for name in options.models:
            rows += machine.time_architecture(known[name], [point for point in points if point.arch == name], bar)
    return rows


def _points(options: argparse.Namespace) -> list[Point]:
    """What is timed: lengths with all threads, then threads and batch sizes at one length."""
    most = max(options.threads)
    points = []
    for name in options.models:
        points += [Point("fixed_batch", name, n, options.batch_size, most) for n in options.lengths]
        points += [Point("fixed_tokens", name, n, options.tokens // n, most) for n in options.lengths]
        length = options.speedup_length
        if len(options.threads) > 1:
            points += [Point("threads", name, length, options.batch_size, threads) for threads in options.threads]
        points += [Point("batch", name, length, rows, most) for rows in options.batch_sizes]
    return points


def _graph_rows(kind: type[LitSeq2Seq], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Sequential depth up to 1,024 tokens, path length at the shorter ones. The device does not matter."""
    sizes = vocabulary_sizes(options.vocabulary)
    width, _ = nearest_width(kind, sizes, SMALL_BUDGET)
    torch.manual_seed(0)
    model = kind(**{**sizes, "hidden_size": width}).double().eval()  # type: ignore[arg-type]
    same = {"device": "any", "precision": "exact", "sweep": "graph", "arch": kind.__name__, "hidden_size": width}
    same |= {"num_params": model.num_params, "batch_size": 1}
    for length in (length for length in options.lengths if length <= LONGEST_GRAPHS):
        batch = uniform_batch(1, length, options.vocabulary, torch.device("cpu"))
        yield {**same, "length": length, "metric": "sequential_depth", "median": sequential_depth(model, batch)}
        if length <= options.longest_paths:
            greatest = int(path_lengths(model, batch).max())
            yield {**same, "length": length, "metric": "path_length", "median": greatest}


class _Machine:
    """Times points on one device in one precision."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device(options.device)
        self.name = processor() if self.device.type == "cpu" else device_name(self.device)
        self.peaks: dict[int, float] = {}

    def peak_row(self, threads: int) -> dict[str, Any]:
        """The speed of a large matrix product with so many threads."""
        torch.set_num_threads(threads)
        self.peaks[threads] = matrix_product_speed(self.device, self.options.precision)
        return {
            **self._same(threads), "sweep": "peak", "metric": "matrix_product_flops", "median": self.peaks[threads],
        }  # fmt: skip

    def time_architecture(self, kind: type[LitSeq2Seq], points: list[Point], bar: tqdm) -> list[dict[str, Any]]:
        """Rows of all its points."""
        sizes = vocabulary_sizes(self.options.vocabulary)
        width, count = pick_width(kind, sizes, self.options.parameter_budget)
        torch.manual_seed(0)
        model = kind(**{**sizes, "hidden_size": width})  # type: ignore[arg-type]
        flops: dict[int, int] = {}  # of one sequence, by length
        before: dict[str, Measured] = {}  # by sweep
        rows: list[dict[str, Any]] = []
        for point in points:
            bar.set_description(f"{point.arch}, {point.sweep.replace('_', ' ')}, {point.length}")
            same = {**self._same(point.threads), "sweep": point.sweep, "arch": point.arch, "hidden_size": width}
            same |= {"num_params": count, "length": point.length, "batch_size": point.rows}
            if point.length not in flops:
                flops[point.length] = count_flops(model.cpu(), point.length, self.options.vocabulary)
            rows.append({**same, "metric": "flops", "median": point.rows * flops[point.length]})
            try:
                self._refuse(point, before.get(point.sweep))
                results, before[point.sweep] = self._time(model.to(self.device), point, flops[point.length])
                rows += [{**same, **result} for result in results]
            except (TooSlowError, torch.OutOfMemoryError) as error:
                note = "out of memory" if isinstance(error, torch.OutOfMemoryError) else str(error)
                rows.append({**same, "metric": "skipped", "note": note})
            bar.update()
        return rows

    def _same(self, threads: int) -> dict[str, Any]:
        return {
            "device": self.device.type, "processor": self.name, "threads": threads,
            "precision": self.options.precision,
        }  # fmt: skip

    def _refuse(self, point: Point, last: Measured | None) -> None:
        """Foresee from the last point of the line what this one takes, at most quadratic in length.

        Raises:
            TooSlowError: more than the limits.
        """
        if last is None:
            return
        growth = (point.length / last.point.length) ** 2 * point.rows / last.point.rows
        memory = last.memory * growth / GIBIBYTE
        if memory > self.options.memory_limit:
            raise TooSlowError(f"would need up to {memory:.1f} GiB; --memory_limit is {self.options.memory_limit:g}")
        if last.seconds * growth > self.options.time_limit:
            raise TooSlowError(f"a step would take up to {last.seconds * growth:.2g} s")

    def _time(self, model: LitSeq2Seq, point: Point, flops: int) -> tuple[list[dict[str, Any]], Measured]:
        torch.set_num_threads(point.threads)
        batch = uniform_batch(point.rows, point.length, self.options.vocabulary, self.device)
        step = TrainingStep(model, batch, self.options.precision)
        times = time_steps(step, self.options.repeats, self.options.time_limit)
        memory = peak_memory(step, self.device)
        seconds = [sum(step) for step in times]
        tokens, work = point.rows * point.length, point.rows * flops
        peak = self.peaks[point.threads]
        rows = [
            _spread("forward_seconds", [step.forward for step in times]),
            _spread("backward_seconds", [step.backward for step in times]),
            _spread("optimizer_seconds", [step.optimizer for step in times]),
            _spread("step_seconds", seconds),
            _spread("tokens_per_second", [tokens / second for second in seconds]),
            _spread("share_of_peak", [work / second / peak for second in seconds]),
            {"metric": "peak_memory_bytes", "median": memory},
        ]
        return rows, Measured(point, statistics.median(seconds), memory)


def _spread(metric: str, values: list[float]) -> dict[str, Any]:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"metric": metric, "median": median, "lower": lower, "upper": upper, "repeats": len(values)}


def _checked(options: argparse.Namespace) -> argparse.Namespace:
    """The options with their defaults filled in.

    Raises:
        UsageError: one that cannot be; the message names it.
    """
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device: cuda is not here; use cpu")
    options.longest_paths = 16 if options.quick else LONGEST_PATHS
    options.batch_sizes = BATCH_SIZES[:-1:2] if options.quick else BATCH_SIZES
    usual = [*LENGTHS, *FURTHER_ON_A_GPU] if options.device == "cuda" else LENGTHS
    options.lengths = sorted(set(options.lengths or (LENGTHS[:5] if options.quick else usual)))
    if options.tokens is None:
        options.tokens = max(TOKENS, options.lengths[-1])
    if options.repeats is None:
        options.repeats = 5 if options.quick else 10
    if options.time_limit is None:
        options.time_limit = 1.0 if options.quick else 20.0
    if options.memory_limit is None:
        options.memory_limit = _half_of_memory(options.device)
    options.models = options.models or list(architectures())
    options.threads = [1] if options.device == "cuda" else sorted(set(options.threads or _thread_counts()))
    for name in ("batch_size", "vocabulary", "parameter_budget", "speedup_length"):
        require_at_least(name, getattr(options, name), 1)
    require_at_least("lengths", options.lengths[0], 1)
    for threads in options.threads:
        require_threads(threads)
    require_at_least("repeats", options.repeats, 3)
    require_at_least("tokens", options.tokens, options.lengths[-1])
    for name in ("time_limit", "memory_limit"):
        if not 0 < getattr(options, name) < math.inf:
            raise UsageError(f"--{name}: {getattr(options, name):g} must be above 0 and finite")
    require_architectures(options.models)
    for name in options.models:  # before anything is measured
        pick_width(architectures()[name], vocabulary_sizes(options.vocabulary), options.parameter_budget)
    return options


def _thread_counts() -> list[int]:
    """1, 2, 4, … and the number of cores."""
    cores = available_cores()
    return [*(2**power for power in range(int(math.log2(cores)) + 1)), cores]


def _half_of_memory(device: str) -> float:
    """GiB"""
    if device == "cuda":
        return torch.cuda.get_device_properties(0).total_memory / 2 / GIBIBYTE
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 / GIBIBYTE


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise parallelism",
        description="Measure training-time parallelism: time, memory and work of a training step against length at a "
        "fixed batch size and at a fixed number of tokens a batch, speed-up with threads and batch size, and, exactly, "
        "how many operations have to follow each other. Writes parallelism.csv, figures and parallelism.md.",
        epilog="Wants an idle machine. Points beyond the limits are recorded as skipped. Figures again, without "
        "measuring: lengthwise report FOLDER",
    )
    add = parser.add_argument
    add("--models", nargs="+", metavar="MODEL", help="architectures (default: all)")
    add("--parameter_budget", type=int, default=100_000, metavar="N", help="parameters of each (default %(default)s)")
    add("--lengths", nargs="+", type=int, metavar="N",
        help="of source and target (default 8 16 … 1024; cuda: … 4096); operations are counted up to 1024")  # fmt: skip
    add("--batch_size", type=int, default=16, metavar="N", help="sequences a batch (default %(default)s)")
    add("--tokens", type=int, metavar="N", help="target tokens a batch (default 2048, or one longest sequence)")
    add("--speedup_length", type=int, default=128, metavar="N", help="length for speed-ups (default %(default)s)")
    add("--vocabulary", type=int, default=16, metavar="N", help="symbols (default %(default)s)")
    add("--threads", nargs="+", type=int, metavar="N", help="CPU threads (default 1 2 4 … cores); lengths take most")
    add("--repeats", type=int, metavar="N", help="timed steps a point (default 10)")
    add("--time_limit", type=float, metavar="S", help="seconds a point (default 20)")
    add("--memory_limit", type=float, metavar="GIB", help="of tensors in a step (default: half of the memory)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="default %(default)s")
    add("--precision", choices=tuple(PRECISIONS), default="32-true", help="default %(default)s")
    add("--quick", action="store_true", help="lengths up to 128, fewer repeats and batch sizes")
    add("--output", type=Path, default=Path("runs/parallelism"), metavar="DIR", help="default %(default)s")
    return parser
