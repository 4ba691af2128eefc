"""What tests of decoding share: a model made of a table, and what a teacher-forced pass says of a sequence."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.batch import BOS, PAD, Batch
from lit_models.contract import Seq2Seq


def teacher_forced(model: Any, source: Tensor, length: int, sequences: list[tuple[int, ...]]) -> Tensor:
    """Log-probability of each sequence of ids for one source, from one teacher-forced pass."""
    target = torch.nn.utils.rnn.pad_sequence([torch.tensor(sequence) for sequence in sequences], batch_first=True)
    batch = Batch(
        source=source[None, :length].expand(len(target), -1),
        source_lengths=torch.full((len(target),), length),
        target_in=F.pad(target, (1, 0), value=BOS)[:, :-1],
        target_out=target,
    )
    with torch.no_grad():
        steps = model(batch).logits.log_softmax(dim=-1).gather(2, target[:, :, None]).squeeze(2)
    return steps.masked_fill(target == PAD, 0.0).sum(dim=1)


def without_padding(tokens: Tensor) -> tuple[int, ...]:
    return tuple(token for token in tokens.tolist() if token != PAD)


class FakeState(NamedTuple):
    sentence: Tensor  # (rows,) the sentence of each row
    position: Tensor  # (rows,)


class Fake(nn.Module):
    """Stands in for a model: logits are a table (sentence, position, V), whatever was read before."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table
        self.rows_asked: list[int] = []

    def encode(self, source: Tensor, source_lengths: Tensor) -> Tensor:
        return torch.arange(len(source))

    def start(self, memory: Tensor) -> FakeState:
        return FakeState(memory, torch.zeros_like(memory))

    def step(self, token: Tensor, state: FakeState) -> tuple[Tensor, FakeState, None]:
        self.rows_asked.append(len(token))
        return self.table[state.sentence, state.position], state._replace(position=state.position + 1), None

    select_rows = Seq2Seq.select_rows
    select_hypotheses = Seq2Seq.select_hypotheses


def fake(probabilities: list[list[list[float]]]) -> tuple[Any, Tensor, Tensor]:
    """A fake model of those probabilities (sentence, position, V), and a source for it."""
    table = torch.tensor(probabilities).log()
    return Fake(table), torch.full((len(table), 1), 5), torch.ones(len(table), dtype=torch.long)
