"""How many operations have to wait for each other between a source token and the loss.

Both counts are read off the autograd graph of a teacher-forced pass of the unfused model, and are exact.

An **operation** is a node of that graph that computes new numbers: a matrix product (with its bias), a sum, a product,
a tanh, a softmax, a layer normalisation, a masking. Nodes that only move, copy, join or pick numbers (views,
transposes, concatenations, indexing) count nothing, nor does the look-up of the embedding itself.

- The **sequential depth** is the longest chain of operations from the embedded source to the loss: as many operations
  have to follow each other however many processors there are. An operation on a whole tensor waits for all of it.
- The **path length** between a source and a target token is the fewest operations between the embedding of that
  source position and the loss at that target position. The maximum path length of Vaswani et al. 2017, Table 1,
  is the greatest over all pairs. Here single numbers count: a path leads through those elements of a tensor that depend
  on each other.

Shapes: S source positions, T target positions (EOS included), E embedding size.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from data.batch import PAD, Batch
from lit_models.lit_module import LitSeq2Seq
from lit_models.probes.unfused import unfused

# Nodes, without `Backward` and number, that compute nothing.
MOVES_ONLY = {
    "AccumulateGrad", "Alias", "AsStrided", "Cat", "Clone", "ConstantPadNd", "CopySlices", "Detach", "Expand",
    "Flip", "Gather", "Index", "IndexSelect", "PackPaddedSequence", "Permute", "Repeat", "Reshape",
    "ReshapeAlias", "Roll", "Select", "Slice", "Split", "SplitWithSizes", "Squeeze", "Stack", "T", "ToCopy",
    "Transpose", "Unbind", "Unfold", "UnsafeSplit", "UnsafeSplitWithSizes", "UnsafeView", "Unsqueeze", "View",
}  # fmt: skip
Node = Any  # torch.autograd.graph.Node, of whose methods some are undocumented


def sequential_depth(model: LitSeq2Seq, batch: Batch) -> int:
    """The longest chain of dependent operations from the source embeddings to the loss.

    Raises:
        ValueError: the loss does not depend on the source.
    """
    embedded, logits = _teacher_forced(model, batch)
    return longest_chain(_loss(model, logits, batch), embedded)


def path_lengths(model: LitSeq2Seq, batch: Batch, longest: bool = False) -> Tensor:
    """Operations between each source position and the loss at each target position.

    Args:
        model: in float64, so that no dependence is lost to rounding.
        batch: one sequence without padding.
        longest: the most operations instead of the fewest.

    Returns:
        (S, T) numbers of operations; infinite where the loss does not depend on the source position.
    """
    embedded, logits = _teacher_forced(model, batch)
    columns = []
    for position in range(batch.target_out.shape[1]):
        target = torch.full_like(batch.target_out, PAD)
        target[:, position] = batch.target_out[:, position]
        loss = _loss(model, logits, batch._replace(target_out=target, loss_tokens=None))
        columns.append(element_paths(loss, embedded, longest)[0])  # (S, E)
    paths = torch.stack(columns, dim=1)  # (S, T, E)
    return _finite_max(paths) if longest else paths.amin(dim=-1)


def longest_chain(output: Tensor, start: Tensor) -> int:
    """The most operations on any way from the leaf `start` to `output`, whole tensors at a time.

    Raises:
        ValueError: there is no way.
    """
    counts: dict[Node, int] = {}
    for node in _inputs_first(output.grad_fn):
        if getattr(node, "variable", None) is start:
            counts[node] = 0
            continue
        before = [counts[below] for below, _ in node.next_functions if below in counts]
        if before:
            counts[node] = max(before) + _cost(node)
    if output.grad_fn not in counts:
        raise ValueError("the loss does not depend on the source embeddings")
    return counts[output.grad_fn]


def element_paths(output: Tensor, start: Tensor, longest: bool = False) -> Tensor:
    """The fewest (or most) operations between each element of the leaf `start` and the scalar `output`.

    A sweep from the output back that carries numbers of operations in place of gradients. Which elements an
    operation connects its own backward function says: given random gradients at some of its outputs, it answers with
    zeros at exactly those inputs that they do not depend on.

    Returns:
        As `start`; infinite where the output does not depend on an element.
    """
    order = _reaching(output.grad_fn, start)
    nearer: Callable[[Tensor, Tensor], Tensor] = _longer if longest else torch.minimum
    random = torch.Generator().manual_seed(0)
    counts: dict[Node, list[Tensor]] = {node: [_nowhere(output) for output in node._input_metadata] for node in order}
    counts[output.grad_fn][output.output_nr].zero_()
    for node in reversed(order):
        if getattr(node, "variable", None) is start:
            return counts[node][0]
        at_outputs = counts.pop(node)
        for value in _values(at_outputs):
            connected = _connected(node, [output == value for output in at_outputs], random)
            for (below, place), touched in zip(node.next_functions, connected, strict=True):
                if below in counts and touched is not None:
                    before = counts[below][place]
                    reached = touched.sum_to_size(before.shape) > 0  # where the operation has broadcast its input
                    counts[below][place] = nearer(before, torch.where(reached, value + _cost(node), math.inf))
    raise ValueError("the loss does not depend on the source embeddings")


def _teacher_forced(model: LitSeq2Seq, batch: Batch) -> tuple[Tensor, Tensor]:
    """The embedded source (B, S, E), a leaf of the graph, and the logits (B, T, V) that depend on it."""
    leaves: list[Tensor] = []

    def make_leaf(_module: Any, _inputs: Any, output: Tensor) -> Tensor | None:
        if leaves:  # the target, where source and target share their embeddings
            return None
        leaves.append(output.detach().requires_grad_())
        return leaves[0]

    handle = model.source_embedding.register_forward_hook(make_leaf)
    try:
        with unfused(), torch.enable_grad():
            logits = model(batch, need_attention=False).logits
    finally:
        handle.remove()
    if not leaves:
        raise ValueError(f"{type(model).__name__} does not call its source_embedding")
    return leaves[0], logits


def _loss(model: LitSeq2Seq, logits: Tensor, batch: Batch) -> Tensor:
    with unfused():
        return model.loss(logits, batch)


def _cost(node: Node) -> int:
    """1 for an operation, 0 for a node that only moves numbers."""
    name = re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])
    return 0 if name in MOVES_ONLY else 1


def _inputs_first(last: Node) -> list[Node]:
    """Every node of the graph, each behind all it depends on."""
    order, seen, stack = [], {last}, [(last, iter(last.next_functions))]
    while stack:
        node, below = stack[-1]
        for following, _ in below:
            if following is not None and following not in seen:
                seen.add(following)
                stack.append((following, iter(following.next_functions)))
                break
        else:
            order.append(node)
            stack.pop()
    return order


def _reaching(last: Node, start: Tensor) -> list[Node]:
    """The same, only of nodes that depend on `start`."""
    reaching: dict[Node, None] = {}
    for node in _inputs_first(last):
        if getattr(node, "variable", None) is start or any(below in reaching for below, _ in node.next_functions):
            reaching[node] = None
    return list(reaching)


def _connected(node: Node, chosen: list[Tensor], random: torch.Generator) -> list[Tensor | None]:
    """For each input of a node 1.0 at elements that some chosen output element depends on, else 0.0."""
    gradients = [
        torch.where(marked, torch.rand(marked.shape, generator=random, dtype=torch.double) + 0.5, 0.0).to(output.dtype)
        if marked.any()
        else None
        for marked, output in zip(chosen, node._input_metadata, strict=True)
    ]
    # A node that Python code defines is no callable, but has its backward function.
    backward = node.apply if isinstance(node, torch.autograd.function.BackwardCFunction) else node
    with torch.no_grad():
        result = backward(*gradients)
    result = result if isinstance(result, tuple) else (result,)
    return [None if gradient is None else (gradient != 0).double() for gradient in result]


def _nowhere(metadata: Any) -> Tensor:
    return torch.full(tuple(metadata.shape), math.inf, dtype=torch.double)


def _values(counts: Iterable[Tensor]) -> list[float]:
    """The finite numbers that occur."""
    numbers = torch.cat([count.flatten() for count in counts])
    return numbers[numbers.isfinite()].unique().tolist()


def _longer(first: Tensor, second: Tensor) -> Tensor:
    """The greater of two, of which infinity means none."""
    return torch.where(first.isinf(), second, torch.where(second.isinf(), first, torch.maximum(first, second)))


def _finite_max(paths: Tensor) -> Tensor:
    """(S, T, E) -> (S, T)"""
    return torch.where(paths.isinf(), -math.inf, paths).amax(dim=-1).abs()
