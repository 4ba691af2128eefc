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
from lit_models.base import LitSeq2Seq

SMALLEST = torch.finfo(torch.float32).tiny

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
        (B, S) norms in double precision, in the order of the source whatever order the model reads it in; zero at
        padding.

    Raises:
        ValueError: a target of the batch ends before the position.
    """
    _require_position(batch, position)
    # A target token's logits depend on nothing behind it.
    batch = batch._replace(target_in=batch.target_in[:, : position + 1], target_out=batch.target_out[:, : position + 1])
    with _as_in_evaluation(model), torch.enable_grad(), _kept_embeddings(model, batch.source.numel()) as kept:
        logits = model.forward(batch._replace(source=_tagged(model, batch)), need_attention=False).logits
        loss = F.cross_entropy(logits[:, position], batch.target_out[:, position], reduction="sum")
        gradients = torch.autograd.grad(loss, [output for _, output in kept], materialize_grads=True)
    total = gradients[0].new_zeros(batch.source.numel() + 1, gradients[0].shape[-1])  # the last row takes padding
    for (places, _), gradient in zip(kept, gradients, strict=True):
        total.index_add_(0, places.flatten(), gradient.flatten(0, -2))
    # In single precision the squares of norms below 1e-19 would vanish.
    return total[:-1].double().norm(dim=-1).view(batch.source.shape)


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


def spaced_distances(longest: int, count: int = 12) -> list[int]:
    """About so many distances from 1 to the longest, evenly spaced on a logarithmic scale."""
    exponents = torch.linspace(0, 1, count, dtype=torch.double)
    return sorted(set((float(longest) ** exponents).round().long().tolist()))


def jacobian_norms(model: LitSeq2Seq, batch: Batch, distances: Sequence[int]) -> Tensor | None:
    """Largest singular value of dh_n / dh_k at distances d = n - k (Pascanu et al. 2013, equation 5).

    The product of the Jacobians of single steps is formed from the last step backwards, so that one pass over the
    source gives every distance. It is rescaled at every step: no distance is too great for single precision.

    Args:
        model: any architecture, in any mode, which it keeps.
        batch: sequences, n tokens in each.
        distances: the distances wanted, of at least 1.

    Returns:
        (B, D) in double precision, zero where a source is shorter than the distance; None where the encoder is not
        recurrent.
    """
    lengths = batch.source_lengths
    rows = torch.arange(len(lengths), device=lengths.device)
    with _as_in_evaluation(model), torch.no_grad():
        states = _states(model, batch)
        if states is None:
            return None
        product = _identity(states)
        log_scale = torch.zeros(len(rows), dtype=torch.double, device=lengths.device)  # (B,)
        found: dict[int, Tensor] = {}
        for distance in range(1, max(distances) + 1):
            position = (lengths - distance).clamp(min=0)
            state = tuple(part[position, rows] for part in states)
            product, scale = _rescaled(_pulled_back(model, batch, position, state, product))
            log_scale += scale.log()
            if distance in distances:
                norms = torch.linalg.matrix_norm(_as_matrices(product).double(), ord=2) * log_scale.exp()
                found[distance] = norms.masked_fill(distance > lengths, 0.0)
    return torch.stack([found[distance] for distance in distances], dim=1)


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


def _identity(states: State) -> State:
    """The identity on a state of K numbers as parts (K, B, …), from the parts (S + 1, B, …) of all states."""
    shapes = [part.shape[1:] for part in states]
    sizes = [shape[1:].numel() for shape in shapes]
    columns = torch.eye(sum(sizes), dtype=states[0].dtype, device=states[0].device).split(sizes, dim=1)
    return tuple(
        own.view(-1, 1, *shape[1:]).expand(-1, *shape) for own, shape in zip(columns, shapes, strict=True)
    )  # (K, B, …)


def _pulled_back(model: LitSeq2Seq, batch: Batch, position: Tensor, state: State, product: State) -> State:
    """A product of Jacobians, parts (K, B, …), times the Jacobian of the step before it, taken at each row's state."""

    def step(*state: Tensor) -> State:
        following = model.transition(batch.source, batch.source_lengths, position, state)
        assert following is not None
        return following

    pull = torch.func.vjp(step, *state)[1]
    return torch.func.vmap(pull)(product)


def _rescaled(product: State) -> tuple[State, Tensor]:
    """Each row's product divided by its largest entry, and (B,) these; a product of nothing but zeros stays."""
    largest = torch.stack([part.abs().transpose(0, 1).flatten(1).amax(dim=1) for part in product]).amax(dim=0)
    scale = torch.where(largest > 0, largest, 1.0)
    return tuple(part / scale.view(1, -1, *[1] * (part.dim() - 2)) for part in product), scale.double()


def _as_matrices(product: State) -> Tensor:
    """Parts (K, B, …) -> (B, K, K)."""
    return torch.cat([part.transpose(0, 1).flatten(2) for part in product], dim=2)


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
    # cuDNN has no backward pass for recurrent layers in evaluation mode.
    with torch.autocast(model.device.type, enabled=False), torch.backends.cudnn.flags(enabled=False):
        try:
            yield
        finally:
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
        own = places.pop()
        if not bool((own >= 0).any()):
            return None
        output = output.detach().requires_grad_()
        kept.append((torch.where(own >= 0, own, nowhere), output))
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
