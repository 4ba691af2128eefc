"""Label-smoothed cross-entropy, in one pass over the logits.

Shapes: N target tokens, V target vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from data.batch import PAD
from lit_models.kernels.choice import faster_than

# Numbers of a part of the logits: on a CPU it stays in the cache while loss and gradient are made of it.
PART = {"cpu": 2**18}
PART_ELSEWHERE = 2**26
SMALL = 2**16  # numbers of logits that several passes do not harm


def plain_smoothed_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    count: Tensor | float = 1.0,
    consume: bool = False,
) -> Tensor:
    """(N, V), (N,) -> (). The logits stay as they are."""
    total = F.cross_entropy(logits, targets, ignore_index=PAD, label_smoothing=label_smoothing, reduction="sum")
    return total / count


@faster_than(plain_smoothed_cross_entropy)
def smoothed_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    count: Tensor | float = 1.0,
    consume: bool = False,
) -> Tensor:
    """Sum over all targets but PAD of the cross-entropy with a smoothed target distribution, over a count.

        log Z - (1 - epsilon) x_y - epsilon / V  sum_v x_v,    log Z = log sum_v exp x_v

    which gives the right word 1 - epsilon + epsilon / V (Szegedy et al. 2016, section 7). The same as
    `torch.nn.functional.cross_entropy`; that one passes over the logits about ten times, which a large vocabulary makes
    the costliest part of a step. The gradient is computed along with the value, in the precision of the logits. Few
    logits are torch's, whose operations are fewer.

    Args:
        logits: (N, V), of any precision.
        targets: (N,)
        label_smoothing: epsilon.
        count: what the sum is divided by, a number or (); dividing it afterwards takes another pass.
        consume: whether the gradient may be written over the logits, which nobody can read then; this spares memory
            and the time to fill it.

    Returns:
        (), in nats, of at least single precision.
    """
    is_small = label_smoothing == 0 and logits.numel() <= SMALL and logits.dtype.itemsize >= 4
    if is_small and not torch.is_autocast_enabled(logits.device.type):
        return plain_smoothed_cross_entropy(logits, targets, count=count)
    return _SmoothedCrossEntropy.apply(logits, targets, label_smoothing, count, consume)  # type: ignore[no-any-return]


class _SmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, label_smoothing: float, count: Tensor | float, consume: bool
    ) -> Tensor:
        precision = torch.promote_types(logits.dtype, torch.float32)
        gradient = None
        if ctx.needs_input_grad[0]:
            gradient = logits.detach() if consume else torch.empty_like(logits)
        total = torch.zeros((), dtype=precision, device=logits.device)
        count = torch.as_tensor(count, dtype=precision, device=logits.device)
        share = 1 / count
        # Float16 would lose small gradients if these were divided before a scaler has multiplied them.
        early, ctx.late = (1.0, share) if logits.dtype == torch.float16 else (share, 1.0)
        rows = max(1, PART.get(logits.device.type, PART_ELSEWHERE) // logits.shape[1])
        for begin in range(0, len(logits), rows):
            part = slice(begin, begin + rows)
            scores, target = logits[part].to(precision), targets[part, None]
            counts = target != PAD
            probabilities = scores.softmax(dim=-1)
            # The greatest probability is at least 1 / V, so that its logarithm is exact enough.
            log_normaliser = scores.amax(dim=-1, keepdim=True) - probabilities.amax(dim=-1, keepdim=True).log()
            reward = (1 - label_smoothing) * scores.gather(1, target)
            if label_smoothing > 0:
                reward += label_smoothing * scores.mean(dim=-1, keepdim=True)
            total += ((log_normaliser - reward) * counts).sum()
            if gradient is not None:
                change = torch.full_like(reward, label_smoothing - 1)
                probabilities.sub_(label_smoothing / logits.shape[1]).scatter_add_(1, target, change)
                gradient[part] = probabilities.mul_(counts * early)
        ctx.save_for_backward(gradient)
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        factor = grad_outputs[0] * ctx.late
        if factor.device.type == "cpu" and factor.item() == 1:  # asking another device means waiting for it
            return gradient, None, None, None, None
        return gradient * factor.to(gradient.dtype), None, None, None, None
