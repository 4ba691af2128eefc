"""What one training step costs: seconds, memory and floating-point operations.

Shapes: B sequences, n tokens of each source and of each target (EOS included).
"""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from data.batch import BOS, EOS, FIRST_TOKEN, Batch, OnHost
from lit_models import LitSeq2Seq
from lit_models.kernels.linear import Linear
from lit_models.probes.unfused import unfused

LEAST_REPEATS = 3  # fewer have no quartiles worth the name
PRECISIONS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}  # Lightning's names; the type of products
PRODUCT_SIZE = {"cpu": 2048, "cuda": 8192}  # of the square matrices whose product is the peak
PRODUCT_SECONDS = 1.0

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler announces its beginning and end otherwise


class StepTime(NamedTuple):
    """Seconds of the parts of one training step."""

    forward: float
    backward: float
    optimizer: float


class TooSlowError(Exception):
    """Fewer than three steps fit into the time limit; the message says how long one took."""


def uniform_batch(rows: int, length: int, vocabulary: int, device: torch.device) -> Batch:
    """Random sequences without padding: (B, n) sources and (B, n) targets."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(FIRST_TOKEN, FIRST_TOKEN + vocabulary, (rows, length), generator=generator)
    words = torch.randint(FIRST_TOKEN, FIRST_TOKEN + vocabulary, (rows, length - 1), generator=generator)
    target_in = torch.cat([torch.full((rows, 1), BOS), words], dim=1)
    target_out = torch.cat([words, torch.full((rows, 1), EOS)], dim=1)
    lengths = torch.full((rows,), length)
    on_device = (tensor.to(device) for tensor in (source, lengths, target_in, target_out))
    return Batch(*on_device, on_host=OnHost(padded=False, longest=2 * length))


class TrainingStep:
    """The training step of a model on one batch, again and again, in its three parts.

    Args:
        model: on its device.
        batch: on the same.
        precision: 32-true or bf16-mixed, which is autocast to bfloat16.
    """

    def __init__(self, model: LitSeq2Seq, batch: Batch, precision: str) -> None:
        self.model = model.train()
        self.batch = batch
        self.device = batch.source.device
        self.reduced = PRECISIONS[precision] != torch.float32
        self.optimizer = model.make_optimizer()

    def __call__(self) -> StepTime:
        """Seconds of each part, the device's work included."""
        times = StepTime(self._timed(self._forward), self._timed(self._backward), self._timed(self.optimizer.step))
        self.optimizer.zero_grad()
        del self.loss
        return times

    def _forward(self) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.reduced):
            self.loss = self.model.training_step(self.batch, 0)

    def _backward(self) -> None:
        self.loss.backward()

    def _timed(self, part: Callable[[], object]) -> float:
        synchronize(self.device)
        begin = time.perf_counter()
        part()
        synchronize(self.device)
        return time.perf_counter() - begin


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_steps(step: Callable[[], StepTime], repeats: int, seconds: float) -> list[StepTime]:
    """Time a step after two that warm up, the first of which may load kernels and is not judged by.

    Args:
        step: runs once.
        repeats: how often it is timed.
        seconds: what the timed steps may take together; there are fewer repeats, but at least three, where it is short.

    Raises:
        TooSlowError: three steps take longer.
    """
    step()
    warm = sum(step())
    if warm * LEAST_REPEATS > seconds:
        raise TooSlowError(f"a step takes {warm:.2g} s, so that {LEAST_REPEATS} do not fit into {seconds:g} s")
    return [step() for _ in range(max(LEAST_REPEATS, min(repeats, int(seconds / warm))))]


def peak_memory(step: Callable[[], object], device: torch.device) -> int:
    """Bytes of tensors that a step needs at once, above those there before it: activations, gradients and temporaries.

    On CUDA the allocator's own maximum. On a CPU the running sum of all allocations and releases of tensors that the
    profiler sees, not of the process, whose allocator keeps memory back; what a library allocates past torch is
    not seen.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
    recorded: Any = seen.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = sorted((event.start_ns(), event.nbytes()) for event in recorded if event.name() == "[memory]")
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak


def count_flops(model: LitSeq2Seq, length: int, vocabulary: int) -> int:
    """Floating-point operations of forward and backward for one sequence: two a multiply-add of a matrix product.

    Counted by torch on the unfused model, whose recurrent steps and attention products it sees; fused kernels are
    opaque to it. The whole n x n of a causal attention counts. A batch of B takes exactly B times as many.
    """
    batch = uniform_batch(1, length, vocabulary, torch.device("cpu"))
    with FlopCounterMode(display=False) as counter, unfused():
        model.training_step(batch, 0).backward()
    model.zero_grad()
    return counter.get_total_flops()


def matrix_product_speed(device: torch.device, precision: str) -> float:
    """Floating-point operations a second of a large matrix product: the peak that shares are taken of."""
    size = PRODUCT_SIZE[device.type]
    product = Linear(size, size, bias=False, dtype=PRECISIONS[precision], device=device).requires_grad_(False)
    inputs = torch.randn(size, size, device=device).to(PRECISIONS[precision])
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < PRODUCT_SECONDS or best == float("inf"):
        synchronize(device)
        start = time.perf_counter()
        product(inputs)
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
