"""How much of the learning signal reaches a source token, by its distance from the loss.

Two measures of any architecture, neither of which changes the model, its gradients or a random state: the gradient of
the loss at the source embeddings, and the Jacobian of a recurrent encoder's state (Pascanu et al. 2013, section 2).

Shapes: B sequences, S source positions, T target positions, E embedding size, D distances, K numbers of a state.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from data.batch import PAD, Batch
from lit_models.lit_module import LitSeq2Seq

SMALLEST = torch.finfo(torch.float32).tiny
TOLERANCE = 1e-5  # relative growth within an iteration, of every norm, at which power iteration ends
ITERATIONS = 100  # of power iteration at most

State = tuple[Tensor, ...]


class Point(NamedTuple):
    """Norms at one distance.

    Attributes:
        distance: number of recurrent steps.
        mean: geometric mean over sequences.
        low: 25% quantile.
        high: 75% quantile.
        sequences: how many there are.
    """

    distance: int
    mean: float
    low: float
    high: float
    sequences: int


def embedding_gradients(model: LitSeq2Seq, batch: Batch, position: int = 0) -> Tensor:
    """Norm of the gradient of one target token's cross-entropy with respect to each source token's embedding.

    Measured at the output of `source_embedding` and without dropout. A fused recurrent layer would show no gradient at
    its own outputs but the last, since its steps do not pass through them.

    Args:
        model: any architecture, in any mode, which it keeps.
        batch: sequences; rows do not influence each other.
        position: target position, from 0.

    Returns:
        (B, S) norms in double precision on the host, in the order of the source whatever order the model reads it in;
        zero at padding.

    Raises:
        ValueError: a target of the batch ends before the position.
    """
    _require_position(batch, position)
    # A target token's logits depend on nothing behind it.
    until = slice(position + 1)
    batch = batch._replace(target_in=batch.target_in[:, until], target_out=batch.target_out[:, until], on_host=None)
    with _as_in_evaluation(model), torch.enable_grad(), _kept_embeddings(model, batch.source.numel()) as kept:
        logits = model.forward(batch._replace(source=_tagged(model, batch)), need_attention=False).logits
        loss = F.cross_entropy(logits[:, position], batch.target_out[:, position], reduction="sum")
        gradients = torch.autograd.grad(loss, [output for _, output in kept], materialize_grads=True)
    total = gradients[0].new_zeros(batch.source.numel() + 1, gradients[0].shape[-1])  # the last row takes padding
    for (places, _), gradient in zip(kept, gradients, strict=True):
        total.index_add_(0, places.flatten(), gradient.flatten(0, -2))
    # In single precision the squares of norms below 1e-19 would vanish, and not every device has double precision.
    return total[:-1].cpu().double().norm(dim=-1).view(batch.source.shape)


def distances(batch: Batch, position: int = 0) -> Tensor:
    """Recurrent steps between each source token and the loss at a target position t, both counted from 0.

    Returns:
        (B, S) d = n - s + t for position s of a source of n tokens, so that the last token has d = 1 at t = 0; 0 at
        padding.
    """
    steps = torch.arange(batch.source.shape[1], device=batch.source.device)
    left = batch.source_lengths[:, None] - steps
    return torch.where(left > 0, left + position, 0)


def curve(norms: Tensor, distances: Tensor) -> list[Point]:
    """Norms by distance.

    Args:
        norms: any shape; zero counts as the smallest normal single-precision number.
        distances: the same shape; entries of distance 0, such as padding, are left out.
    """
    points = []
    for distance in distances.unique().tolist():
        if distance > 0:
            here = norms[distances == distance].double().clamp(min=SMALLEST)
            low, high = here.quantile(here.new_tensor([0.25, 0.75])).tolist()
            points.append(Point(distance, float(here.log().mean().exp()), low, high, len(here)))
    return points


def spaced_distances(longest: int, count: int) -> list[int]:
    """About so many distances from 1 to the longest, evenly spaced on a logarithmic scale."""
    exponents = torch.linspace(0, 1, count, dtype=torch.double)
    return sorted(set((float(longest) ** exponents).round().long().tolist()))


def jacobian_norms(model: LitSeq2Seq, batch: Batch, distances: Sequence[int]) -> Tensor | None:
    """Largest singular value of dh_n / dh_k at distances d = n - k (Pascanu et al. 2013, equation 5).

    By power iteration on the product of the Jacobians of single steps, applied backwards and forwards but never
    formed. What passes through it is rescaled at every step: no distance is too great for single precision. The device
    has to have double precision, which Apple's MPS lacks.

    Args:
        model: any architecture, in any mode, which it keeps.
        batch: sequences, n tokens in each.
        distances: the distances wanted, of at least 1.

    Returns:
        (B, D) to within half a per cent, zero where a source is shorter than the distance; None where the encoder is
        not recurrent.
    """
    lengths = batch.source_lengths
    rows = torch.arange(len(lengths), device=lengths.device)
    with _as_in_evaluation(model), torch.no_grad():
        states = _states(model, batch)
        if states is None:
            return None
        steps: list[_Step] = []  # the last one first
        for distance in range(1, max(distances) + 1):
            position = (lengths - distance).clamp(min=0)
            steps.append(_Step(model, batch, position, tuple(part[position, rows] for part in states)))
        generator = torch.Generator(lengths.device).manual_seed(0)
        left = _drawn(states, generator)
        at_distance: dict[int, Tensor] = {}
        for distance in sorted(set(distances)):
            # The direction found one distance before is a good start, but it may lack what is the largest now.
            start = tuple(before + drawn / 2 for before, drawn in zip(left, _drawn(states, generator), strict=True))
            norms, left = _largest_singular_value(steps[:distance], start)
            at_distance[distance] = norms.masked_fill(distance > lengths, 0.0)
    return torch.stack([at_distance[distance] for distance in distances], dim=1)


def _states(model: LitSeq2Seq, batch: Batch) -> State | None:
    """h_0 … h_S of a recurrent encoder, each part (S + 1, B, …); a row's states behind its end mean nothing."""
    states: list[State] = []
    for step in range(batch.source.shape[1]):
        position = (batch.source_lengths - 1).clamp(max=step)
        state = model.transition(batch.source, batch.source_lengths, position, states[-1] if states else None)
        if state is None:
            return None
        states.append(state)
    initial = tuple(torch.zeros_like(part) for part in states[0])
    return tuple(torch.stack(parts) for parts in zip(initial, *states, strict=True))


class _Step:
    """The Jacobian of one step of the encoder at each row's state, as a linear map in both directions.

    Backwards it is autograd's vector-Jacobian product, J^T v. That is linear in v, and its own vector-Jacobian product
    with u is the Jacobian-vector product J u: several times faster here than forward-mode differentiation.
    """

    def __init__(self, model: LitSeq2Seq, batch: Batch, position: Tensor, state: State) -> None:
        with torch.enable_grad():
            self.state = tuple(part.detach().requires_grad_() for part in state)
            following = model.transition(batch.source, batch.source_lengths, position, self.state)
            assert following is not None
            self.following = following
            self.cotangent = tuple(torch.zeros_like(part, requires_grad=True) for part in following)
            self.pulled = torch.autograd.grad(following, self.state, self.cotangent, create_graph=True)

    def pull(self, cotangent: State) -> State:
        """J^T v"""
        return torch.autograd.grad(self.following, self.state, cotangent, retain_graph=True)

    def push(self, tangent: State) -> State:
        """J u"""
        return torch.autograd.grad(
            self.pulled, self.cotangent, tangent, retain_graph=True, allow_unused=True, materialize_grads=True
        )


def _largest_singular_value(steps: Sequence[_Step], left: State) -> tuple[Tensor, State]:
    """(B,) of the product of the steps, the last one first, and the left singular vectors, parts (B, …)."""
    left, _ = _unit(left)
    pushed = torch.zeros(len(left[0]), dtype=torch.double, device=left[0].device)  # logarithms of norms
    for _ in range(ITERATIONS):
        pulled, pushed, right = torch.zeros_like(pushed), torch.zeros_like(pushed), left
        for step in steps:
            right, norms = _unit(step.pull(right))
            pulled += norms.log()
        left = right
        for step in reversed(steps):
            left, norms = _unit(step.push(left))
            pushed += norms.log()
        # Both norms are lower bounds, and never does one fall below the one before.
        if bool(((pushed - pulled <= TOLERANCE) | pushed.isneginf()).all()):
            break
    return pushed.exp(), left


def _drawn(states: State, generator: torch.Generator) -> State:
    """A random unit vector for each row, parts (B, …), from the parts (S + 1, B, …) of all states."""
    return _unit(
        tuple(torch.randn(part.shape[1:], generator=generator, device=part.device, dtype=part.dtype) for part in states)
    )[0]


def _unit(state: State) -> tuple[State, Tensor]:
    """Each row scaled to length 1, a zero left as it is, and (B,) what the lengths were."""
    squares = (part.double().square().flatten(1).sum(dim=1) for part in state)
    length = torch.stack(list(squares)).sum(dim=0).sqrt()
    scale = torch.where(length > 0, length, 1.0)
    return tuple((part / scale.view(-1, *[1] * (part.dim() - 1))).to(part.dtype) for part in state), length


def _require_position(batch: Batch, position: int) -> None:
    lengths = (batch.target_out != PAD).sum(dim=1)
    if not 0 <= position < int(lengths.min()):
        raise ValueError(
            f"target position {position} does not exist: the shortest target of the batch has {int(lengths.min())} "
            "tokens, EOS included, counted from 0"
        )


@contextlib.contextmanager
def _as_in_evaluation(model: LitSeq2Seq) -> Iterator[None]:
    """Without dropout and in the precision of the weights; afterwards every module is in its own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    # cuDNN has no backward pass for recurrent layers in evaluation mode. Its `flags` would also turn TF32 on.
    cudnn, torch.backends.cudnn.enabled = torch.backends.cudnn.enabled, False
    try:
        with torch.autocast(model.device.type, enabled=False):
            yield
    finally:
        torch.backends.cudnn.enabled = cudnn
        for module, training in modes:
            module.training = training


def _tagged(model: LitSeq2Seq, batch: Batch) -> Tensor:
    """(B, S) source ids that carry their place in the batch: id + V x (place + 1), PAD as it is."""
    places = torch.arange(1, batch.source.numel() + 1, device=batch.source.device).view(batch.source.shape)
    is_word = distances(batch) > 0
    return batch.source + is_word * places * model.source_embedding.num_embeddings


@contextlib.contextmanager
def _kept_embeddings(model: LitSeq2Seq, nowhere: int) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """While the context lasts, keep what `source_embedding` makes of tagged ids, with the places they carry.

    In whatever order, shape and number of calls a model reads its source, each vector is known by its place. `nowhere`
    is the place of padding. Calls without any tag embed something else, such as the target where both share a table.
    """
    kept: list[tuple[Tensor, Tensor]] = []
    size = model.source_embedding.num_embeddings
    places: list[Tensor] = []

    def take_tags_off(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        places.append(inputs[0] // size - 1)
        return (inputs[0] % size,)

    def keep(_: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        carried = places.pop()
        if not bool((carried >= 0).any()):
            return None
        output = output.detach().requires_grad_()
        kept.append((torch.where(carried >= 0, carried, nowhere), output))
        return output

    hooks = [
        model.source_embedding.register_forward_pre_hook(take_tags_off),
        model.source_embedding.register_forward_hook(keep),
    ]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
