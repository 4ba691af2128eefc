"""What the suite does on one GPU, in some minutes: `python -m benchmarks.gpu`.

Correctness comes first, so that a run cut short is worth something: lines of PASS, FAIL or INFO. Then times, as small
tables with the name of the card: decoding.csv, and together.csv of several trials on one card. (`lengthwise parallelism
--device cuda` times training steps by length.) The exit code is 1 where something failed. `--device cpu --quick` is a
dry run of seconds.
"""

import argparse
import contextlib
import copy
import csv
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the GPU is first used

import numpy as np
import torch
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor

from data.batch import Batch
from data.batching import ExampleStore
from data.tasks import generate
from experiments.probes.timing import synchronize, uniform_batch
from experiments.trial.cuda_graphs import replayed_steps
from experiments.trial.environment import device_name, set_arithmetic
from lit_models import LitSeq2Seq, architectures
from lit_models.decoding.search import beam_search, greedy

VOCABULARY = 32
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("LuongGlobal", {"input_feeding": True}),
    ("Bahdanau", {"bidirectional": True}),
    ("LSTM", {"num_layers": 2}),
]
PROCESSES = (1, 4, 16)
PARTS = ("numbers", "resuming", "waits", "graphs", "bfloat16", "compile", "decoding", "together")


class Checks:
    """Prints what was found, and knows whether something failed and when time is up."""

    def __init__(self, seconds: float) -> None:
        self.begin, self.seconds, self.failed = time.monotonic(), seconds, 0

    def left(self, share: float = 1.0) -> bool:
        """Whether less than this share of the time is spent."""
        return time.monotonic() - self.begin < share * self.seconds

    def say(self, kind: str, *words: object) -> None:
        self.failed += kind == "FAIL"
        print(f"{time.monotonic() - self.begin:5.0f} s {kind}", *words, flush=True)

    def check(self, holds: bool, *words: object) -> None:
        self.say("PASS" if holds else "FAIL", *words)


def make(name: str, options: dict[str, Any], size: int, **more: Any) -> LitSeq2Seq:
    """The same weights every time."""
    torch.manual_seed(0)
    vocabulary = VOCABULARY + 4
    sizes = {"source_vocab_size": vocabulary, "target_vocab_size": vocabulary, "hidden_size": size}
    return architectures()[name](**sizes, **options, **more)


def sequences(rows: int, length: int, shortest: int) -> Batch:
    return ExampleStore(generate("copy", VOCABULARY, shortest, length, rows, 0, "train")).batch(np.arange(rows))


def steps(model: LitSeq2Seq, batch: Batch, numbers: range, optimizer: torch.optim.Optimizer | None = None) -> Tensor:
    """The weights behind training steps whose dropout follows from their numbers."""
    optimizer = optimizer or model.train().make_optimizer()
    for number in numbers:
        torch.manual_seed(number)
        model.training_step(batch, 0).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def gradient(model: LitSeq2Seq, batch: Batch) -> Tensor:
    model.train().training_step(batch, 0).backward()
    return torch.cat([one.grad.double().cpu().flatten() for one in model.parameters() if one.grad is not None])


# ---------------------------------------------------------------------- correctness


def check_numbers(checks: Checks, name: str, options: dict[str, Any], size: int, device: torch.device) -> None:
    """Gradients against double precision on the CPU, and decoding against the CPU."""
    label = " ".join((name, *(f"{key}={value}" for key, value in options.items())))
    for kind, shortest in (("full", 12), ("padded", 5)):
        batch, model = sequences(8, 12, shortest), make(name, options, size)
        exact = gradient(copy.deepcopy(model).double(), batch)
        error = float((gradient(model.to(device), move_data_to_device(batch, device)) - exact).norm() / exact.norm())
        checks.check(error < 1e-4, "gradients,", kind, label, f"off by {error:.0e}")
    batch, model = sequences(8, 12, 5), make(name, options, size).eval()
    there = move_data_to_device(batch, device)
    decoders: dict[str, Callable[[LitSeq2Seq, Batch], Tensor]] = {
        "greedy": lambda model, batch: greedy(model, batch.source, batch.source_lengths, 20),
        "beam": lambda model, batch: beam_search(model, batch.source, batch.source_lengths, 20).tokens[:, 0],
    }
    expected = {kind: decoder(model, batch) for kind, decoder in decoders.items()}
    model.to(device)
    for kind, decoder in decoders.items():
        same = (decoder(model, there).cpu() == expected[kind]).all(dim=1).double().mean()
        checks.check(float(same) >= 0.9, kind, label, f"{float(same):.0%} of outputs as on the CPU")


def check_resuming(checks: Checks, name: str, options: dict[str, Any], size: int, device: torch.device) -> None:
    """Four steps, and two and two with all that a checkpoint keeps, under --deterministic; with dropout."""
    set_arithmetic(deterministic=True)
    try:
        batch = move_data_to_device(sequences(8, 12, 5), device)
        straight = steps(make(name, options, size, dropout=0.1).to(device), batch, range(4))
        before = make(name, options, size, dropout=0.1).to(device).train()
        first = before.make_optimizer()
        steps(before, batch, range(2), first)
        after = make(name, options, size, dropout=0.1).to(device).train()
        second = after.make_optimizer()
        after.load_state_dict(before.state_dict())
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        resumed = steps(after, batch, range(2, 4), second)
        checks.check(torch.equal(straight, resumed), "resumed to the same bits", name, options or "")
    except RuntimeError as error:
        checks.say("FAIL", "--deterministic", name, str(error).partition("\n")[0])
    finally:
        set_arithmetic()


def check_waits(checks: Checks, name: str, options: dict[str, Any], size: int, device: torch.device) -> None:
    """Waits of a training step, as torch itself notes them."""
    if device.type != "cuda":
        return
    batch, model = move_data_to_device(sequences(8, 12, 5), device), make(name, options, size).to(device)
    optimizer = model.train().make_optimizer()
    steps(model, batch, range(2), optimizer)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            steps(model, batch, range(1), optimizer)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    places = {f"{one.filename}:{one.lineno}" for one in noted if "synchroniz" in str(one.message)}
    checks.check(not places, "no waits in a padded step", name, options or "", *sorted(places))


def check_bfloat16(checks: Checks, device: torch.device) -> None:
    """Recurrent layers give bfloat16 where that is asked for, and the loss is about that of single precision."""
    batch, model = move_data_to_device(sequences(8, 12, 5), device), make("LSTM", {"num_layers": 2}, 32).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        kind = model.encode(batch.source, batch.source_lengths).states.dtype
        loss = float(model.training_step(batch, 0).detach())
    exact = float(model.training_step(batch, 0).detach())
    checks.check(kind == torch.bfloat16 and abs(loss - exact) < 0.05, "bf16-mixed", kind, f"{loss:.4f} {exact:.4f}")


def check_graphs(checks: Checks, name: str, options: dict[str, Any], size: int, device: torch.device) -> None:
    """Weights behind steps and behind the same steps replayed, to the last bit: on full batches, and on padded ones of
    one shape and several contents. And the rates of both."""
    batches = [move_data_to_device(sequences(8, 12, shortest), device) for shortest in (12, 5, 4)]
    long, several = move_data_to_device(sequences(40, 50, 50), device), 20 if device.type == "cuda" else 1

    def trained(replayed: bool) -> tuple[Tensor, int, float]:
        """Weights, how many steps were replayed, and long steps a second."""
        model, weights = make(name, options, size, dropout=0.1).to(device).train(), torch.empty(0)
        optimizer = model.make_optimizer()
        with replayed_steps(model) if replayed else contextlib.nullcontext() as graphs:
            for number in range(9):
                weights = steps(model, batches[number % 3], range(number, number + 1), optimizer)
            count = 0 if graphs is None else graphs.replayed
            steps(model, long, range(3), optimizer)
            synchronize(device)
            begin = time.perf_counter()
            steps(model, long, range(several), optimizer)
            synchronize(device)
        return weights, count, several / (time.perf_counter() - begin)

    set_arithmetic(deterministic=True)
    try:
        (expected, _, rate), (weights, count, faster) = trained(False), trained(True)
        same = torch.equal(weights, expected) and (count == 7 or device.type != "cuda")
        found = f"{count} of 9 replayed, off by {float((weights - expected).abs().max()):.0e}"
        checks.check(same, "--cuda_graphs", name, options or "", found)
        checks.say("INFO", "steps a second of", name, options or "", f"{rate:.1f}, replayed {faster:.1f}")
    except Exception as error:
        checks.say("FAIL", "--cuda_graphs", name, options or "", str(error).partition("\n")[0])
    finally:
        set_arithmetic()


def check_compile(checks: Checks, device: torch.device) -> None:
    """Gradients of a compiled model."""
    for name in ("GRU", "Bahdanau"):
        batch = move_data_to_device(sequences(8, 6, 6), device)
        plain, compiled = make(name, {}, 16).to(device), make(name, {}, 16).to(device)
        compiled.compile()
        try:
            error = float((gradient(compiled, batch) - gradient(plain, batch)).norm())
            checks.check(error < 1e-4, "--compile true", name, f"off by {error:.0e}")
        except Exception as error:
            checks.say("FAIL", "--compile true", name, type(error).__name__, str(error).partition("\n")[0][:120])


# ---------------------------------------------------------------------- times


def decoding_times(checks: Checks, device: torch.device, size: int, most: int) -> Iterator[list[object]]:
    """Microseconds a token of 64 sentences side by side."""
    for name in architectures():
        if not checks.left(0.8):
            return
        batch, model = uniform_batch(64, most, VOCABULARY, device), make(name, {}, size).to(device).eval()
        for kind, decoder in (("greedy", greedy), ("beam 5", beam_search)):
            for _ in range(2):  # the first warms up
                synchronize(device)
                begin = time.perf_counter()
                decoder(model, batch.source, batch.source_lengths, most, length_forced=True)
                synchronize(device)
            yield [name, kind, f"{1e6 * (time.perf_counter() - begin) / most:.0f}"]  # type: ignore[possibly-undefined]


def trials_together(checks: Checks, device: str, seconds: float, processes: tuple[int, ...]) -> Iterator[list[object]]:
    """Training steps a second of several processes on one card, together."""
    for name in ("GRU", "Bahdanau", "Transformer"):
        for count in processes:
            if not checks.left(0.95):
                return
            command = [sys.executable, "-m", "benchmarks.gpu", "--device", device, "--worker", name]
            command += ["--seconds", str(seconds)]
            one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
            running = [
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=one_thread)
                for _ in range(count)
            ]
            rates = []
            for worker in running:
                assert worker.stdout is not None
                worker.stdout.readline()  # it is ready
            for worker in running:
                assert worker.stdin is not None
                worker.stdin.write("\n")
                worker.stdin.flush()
            for worker in running:
                rates.append(float(worker.communicate()[0].strip() or "nan"))
            yield [name, count, f"{sum(rates):.1f}"]


def work(name: str, device: torch.device, seconds: float) -> None:
    """One of several processes: ready, wait for a line, train, and say how many steps a second."""
    model, batch = make(name, {}, 64).to(device).train(), uniform_batch(40, 50, VOCABULARY, device)
    optimizer = model.make_optimizer()
    steps(model, batch, range(2), optimizer)
    synchronize(device)
    print("ready", flush=True)
    sys.stdin.readline()
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        steps(model, batch, range(2), optimizer)
        synchronize(device)
        count += 2
    print(count / (time.perf_counter() - begin), flush=True)


def write(path: Path, card: str, names: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["card", *names], *([card, *row] for row in rows)])
    print(path.as_posix())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=480, help="time to spend, about (default %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/gpu"), help="folder of the tables")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="tiny and few: whether the script itself works")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here; --device cpu --quick is a dry run")
    set_arithmetic()
    if options.worker:
        work(options.worker, device, options.seconds)
        return 0
    card, checks = device_name(device), Checks(options.seconds)
    size = 8 if options.quick else 64
    checks.say("INFO", card, "torch", torch.__version__, "cuDNN", torch.backends.cudnn.version())
    models = (
        [("GRU", {}), ("Bahdanau", {})] if options.quick else [*((name, {}) for name in architectures()), *VARIANTS]
    )
    of_models = {"numbers": check_numbers, "resuming": check_resuming, "waits": check_waits, "graphs": check_graphs}
    for part in (part for part in of_models if part in options.only):
        for name, settings in models:
            if not checks.left(0.6):
                checks.say("INFO", "time is up before", part, name)
                break
            of_models[part](checks, name, settings, size, device)
    if "bfloat16" in options.only and device.type != "cpu":
        check_bfloat16(checks, device)
    if "compile" in options.only and not options.quick and checks.left(0.6):
        check_compile(checks, device)
    options.output.mkdir(parents=True, exist_ok=True)
    if "decoding" in options.only:
        rows = list(decoding_times(checks, device, size, 8 if options.quick else 64))
        write(options.output / "decoding.csv", card, ["arch", "decoder", "microseconds_a_token"], rows)
    if "together" in options.only and not options.quick:
        rows = list(trials_together(checks, options.device, 5.0, PROCESSES))
        write(options.output / "together.csv", card, ["arch", "trials", "steps_a_second"], rows)
    checks.say("INFO", f"{checks.failed} failed")
    return int(checks.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
