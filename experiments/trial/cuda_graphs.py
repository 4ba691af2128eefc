"""Training steps as CUDA graphs: all kernels of a step start at once.

A step launches some hundred kernels one by one, a step of Bahdanau's model at 50 tokens 1,300. Where they are short, as
at the sizes here, launching takes longer than computing. A CUDA graph is a record of them with the addresses they read
and write: whoever fills the memory of the batch anew and replays it trains on the new batch.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from data.batch import Batch, OnHost
from experiments.errors import UsageError
from lit_models import LitSeq2Seq

GRAPHS_ON = {"cuda"}  # kinds of devices
MOST_SHAPES = 64  # that are recorded; a record of Bahdanau's step takes a few megabytes

Shape = tuple[OnHost, tuple[tuple[torch.Size, torch.dtype] | None, ...]]


class ReplayedSteps:
    """The training step of a model, replayed where it can be: loss and gradient are those of the step itself.

    A batch of a shape that came before is recorded and replayed; the first of its shape, and all of further shapes once
    there are many, are trained on as without graphs. Nothing is padded to make shapes fewer, so that the numbers stay
    the same. Clipping, optimiser and schedule are outside. Dropout draws from torch's generator, whose seed and
    position a replay reads.

    Attributes:
        taken: number of steps.
        replayed: how many of them were replayed.
        shapes: what is replayed, by shape.
    """

    def __init__(self, model: LitSeq2Seq, accumulates: bool) -> None:
        self.model = model
        self.step = model.training_step
        self.accumulates = accumulates
        self.taken = self.replayed = 0
        self.seen: set[Shape] = set()
        self.shapes: dict[Shape, Callable[..., Tensor]] = {}
        self.pool: Any = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch, with its gradient to come."""
        self.taken += 1
        if self.accumulates:
            # The gradient of a replay is memory that the next one writes to.
            for weight in self.model.parameters():
                weight.grad = None if weight.grad is None else weight.grad.clone()
        replay = self._replay_of(batch)
        if replay is None:
            with _autocast_as_it_is(batch.source.device.type):
                return self.step(batch, batch_idx)
        self.replayed += 1
        return replay(*_tensors(batch).values()).clone()

    def told(self) -> str:
        """What has come of it, in one line."""
        return f"--cuda_graphs: {self.replayed:,} of {self.taken:,} batches were replayed, in {len(self.shapes)} shapes"

    def _replay_of(self, batch: Batch) -> Callable[..., Tensor] | None:
        if batch.source.device.type not in GRAPHS_ON or batch.on_host is None or batch.loss_tokens is None:
            return None
        shape = batch.on_host, tuple((one.shape, one.dtype) if isinstance(one, Tensor) else None for one in batch)
        if shape in self.seen and shape not in self.shapes and len(self.shapes) < MOST_SHAPES:
            self.shapes[shape] = self._recorded(batch)
        self.seen.add(shape)
        return self.shapes.get(shape)

    def _recorded(self, batch: Batch) -> Callable[..., Tensor]:
        """Record the step; the random numbers that follow are as if it had not been.

        The records share their memory: none is replayed between the loss and the gradient of another.
        """
        device, loss = batch.source.device, _Loss(self, batch)
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        inputs = tuple(tensor.clone() for tensor in _tensors(batch).values())
        try:
            # As in training, the backward pass is not under autocast.
            with (
                torch.random.fork_rng([device], device_type=device.type),
                torch.autocast(device.type, enabled=False),
                _streams_of_before_replaced(),
            ):
                return torch.cuda.make_graphed_callables(loss, inputs, allow_unused_input=True, pool=self.pool)  # type: ignore
        except RuntimeError as error:
            _leave_record(device)
            first = _first(error)
            if isinstance(first, torch.OutOfMemoryError):
                raise first from None
            why = f"{type(self.model).__name__} cannot be recorded: " + str(first).partition("\n")[0]
            raise UsageError(f"--cuda_graphs: a step of {why}; leave the option out") from error


class _Loss(nn.Module):
    """The loss of batches of one shape, as a function of their tensors alone."""

    def __init__(self, steps: ReplayedSteps, batch: Batch) -> None:
        super().__init__()
        self.model = steps.model  # whose parameters get gradients
        self.step = steps.step
        self.names, self.on_host = list(_tensors(batch)), batch.on_host
        self.autocast = _autocast_as_it_is(batch.source.device.type)

    def forward(self, *tensors: Tensor) -> Tensor:
        """() of all tensors of a batch, in the order of its fields."""
        with self.autocast:
            return self.step(Batch(**dict(zip(self.names, tensors, strict=True)), on_host=self.on_host), 0)  # type: ignore[arg-type]


def _first(error: RuntimeError) -> RuntimeError:
    """What went wrong first: behind it the end of the record fails too."""
    return _first(error.__context__) if isinstance(error.__context__, RuntimeError) else error


def _leave_record(device: torch.device) -> None:
    """Give torch's generator of random numbers a new state with the same numbers to come. After a record that failed
    the old one still counts as being recorded, and whoever draws is refused."""
    if device.type == "cuda":
        generator = torch.cuda.default_generators[device.index]
        fresh = torch.Generator(device)
        fresh.set_state(generator.get_state())
        generator.graphsafe_set_state(fresh.graphsafe_get_state())


def _tensors(batch: Batch) -> dict[str, Tensor]:
    return {name: field for name, field in batch._asdict().items() if isinstance(field, Tensor)}


def _autocast_as_it_is(device: str) -> torch.autocast:
    """As now, without keeping converted weights, which no record could: a trial has the same numbers either way."""
    dtype, enabled = torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
    return torch.autocast(device, dtype, enabled, cache_enabled=False)


# Gradients come from a stream of their own; torch waits for it by itself.
warnings.filterwarnings("ignore", message=".*AccumulateGrad node's stream does not match")


@contextmanager
def _streams_of_before_replaced() -> Iterator[None]:
    """What autograd kept of steps before the record, with streams outside of it, takes the record's stream. Versions of
    torch that have no such switch have no check that would refuse it."""
    replace = getattr(torch.autograd.graph, "set_override_stale_capture_stream", lambda enabled: None)
    replace(True)
    try:
        yield
    finally:
        replace(False)


@contextmanager
def replayed_steps(model: LitSeq2Seq, accumulates: bool = False) -> Iterator[ReplayedSteps]:
    """While this lasts, `model.training_step` replays what it can. On devices without graphs nothing changes.

    Args:
        model: is trained by one process and not compiled.
        accumulates: whether the gradients of several batches are added up.
    """
    steps = ReplayedSteps(model, accumulates)
    model.training_step = steps.training_step  # type: ignore[method-assign]
    try:
        yield steps
    finally:
        del model.training_step
