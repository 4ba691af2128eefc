"""CUDA graphs on the pretend device: what is done between the beginning and the end of a record is noted, and done
again, on the same memory, at every replay.

torch's own `make_graphed_callables` runs on it. As on a GPU, a replay runs no Python: what the host computed, drew or
looked up while the record was made stays as it was then. What the record itself computed is of no use: it is NaN until
the first replay. And whoever waits for the device while a record is made is refused.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from experiments.trial import cuda_graphs
from tests.helpers.pretend_device.seen import seen


class Graph:
    """In the place of torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []
        self.results: list[Tensor] = []

    def replay(self) -> None:
        seen.operations["replay"] += 1
        with _disable_current_modes(), torch.no_grad():
            for again in self.work:
                again()


class Record:
    """In the place of torch.cuda.graph."""

    def __init__(self, graph: Graph, pool: Any = None) -> None:
        self.graph = graph

    def __enter__(self) -> None:
        seen.records.append(self.graph)

    def __exit__(self, *error: object) -> None:
        seen.records.remove(self.graph)
        with _disable_current_modes(), torch.no_grad():
            for result in self.graph.results:
                result.fill_(torch.nan)
        self.graph.results.clear()


def note(compute: Callable[[], Any], result: Any) -> None:
    """Note what gives tensors in CPU memory, and where they are now. Where it gives memory that it was given, it has
    written to it."""
    if not seen.records:
        return
    old = [leaf.data for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]  # no version counts, no shape changes

    def again() -> None:
        new = [leaf for leaf in tree_leaves(compute()) if isinstance(leaf, Tensor)]
        for before, now in zip(old, new, strict=True):
            if before.data_ptr() != now.data_ptr():
                before.copy_(now)

    seen.records[-1].work.append(again)


def note_operation(func: Any, args: Any, kwargs: Any, result: Any) -> None:
    """Note an operation on tensors in CPU memory."""
    returned = func._schema.returns
    if not seen.records or (returned and all(one.alias_info and not one.alias_info.is_write for one in returned)):
        return  # a view shows what is written where it looks
    note(lambda: func(*args, **kwargs), result)
    given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
    seen.records[-1].results += [
        leaf.data
        for leaf in tree_leaves(result)
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.untyped_storage().data_ptr() not in given
    ]


def kept(value: Any) -> Any:
    """Numbers of the host, as a record keeps them."""
    return tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, value) if seen.records else value


@contextlib.contextmanager
def pretend_graphs(device: str) -> Iterator[None]:
    """While this lasts the device has CUDA graphs."""
    stands_in = mock.patch.multiple(
        "torch.cuda", CUDAGraph=Graph, graph=Record, graph_pool_handle=object, synchronize=lambda: None,
        Stream=lambda: None, stream=lambda stream: contextlib.nullcontext(),
    )  # fmt: skip
    with stands_in, mock.patch.object(cuda_graphs, "GRAPHS_ON", {device}):
        yield
