"""What a model sees: a batch of padded token ids, and the four reserved ids.

Shapes: B sequences a batch, S source positions, T target positions (EOS included).
"""

from typing import Any, NamedTuple, TypeVar

from torch import Tensor

PAD, BOS, EOS, UNK = 0, 1, 2, 3
FIRST_TOKEN = 4  # the first id that stands for a word of the vocabulary

Lengths = TypeVar("Lengths", int, Tensor)


class OnHost(NamedTuple):
    """What a model branches on, in memory of the host wherever the batch lies: to ask another device means to wait.

    Attributes:
        padded: whether a source ends before the widest.
        longest: tokens of the longest source and target together, EOS included.
        decoded: whether a test also decodes without the target; a task such as the next token has nothing to decode.
    """

    padded: bool
    longest: int
    decoded: bool = True

    def to(self, *device: Any, **options: Any) -> "OnHost":
        """Itself: what moves a batch to a device leaves this where it is."""
        return self


class Batch(NamedTuple):
    """Padded source and target sequences with what is known of their relation.

    PAD never influences a loss, a metric, an attention weight or another row.

    Attributes:
        source: (B, S) token ids, PAD behind the end.
        source_lengths: (B,) number of source tokens, at least 1.
        target_in: (B, T) the target behind a leading BOS, what a decoder reads under teacher forcing.
        target_out: (B, T) the target with a final EOS, what it has to produce.
        loss_tokens: () what the summed loss of this batch is divided by. In one process the number of target
            tokens; under data parallelism the number over all ranks divided by the number of ranks, so that
            averaged gradients equal those of one process with the whole batch. Where gradients are accumulated, the
            mean over the batches of a step. None counts the batch itself.
        alignment: (B, T) gold source position of each target token, -1 where there is none; or None.
        target_bits: (B,) information in each target, -log2 of its probability under the task; or None where
            that is not known, as for text.
        examples: (B,) number of each row in its split, from 0; or None.
        decode_limits: (B,) most tokens a free-running decoder may produce for each row, EOS included; None where
            the length of the target is known beforehand: then as many as the batch's targets have.
        answers: (A,) token ids of which the last in each target is the one that is scored; None where all tokens are.
        on_host: what the host branches on; None asks the tensors above.
    """

    source: Tensor
    source_lengths: Tensor
    target_in: Tensor
    target_out: Tensor
    loss_tokens: Tensor | None = None
    alignment: Tensor | None = None
    target_bits: Tensor | None = None
    examples: Tensor | None = None
    decode_limits: Tensor | None = None
    answers: Tensor | None = None
    on_host: OnHost | None = None


def decode_limits(source_lengths: Lengths) -> Lengths:
    """Most tokens worth producing for a text of so many: no translation is that long, a loop would be."""
    return 2 * source_lengths + 20
