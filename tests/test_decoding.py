"""Greedy decoding against a loop without any cleverness."""

import pytest
import torch

from data.batch import BOS, EOS, PAD
from lit_models import architectures
from lit_models.decoding import greedy
from tests.models import make, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]


def plainly(model, source: torch.Tensor, length: int, most: int) -> list[int]:
    """Greedy decoding of one sentence by running the whole teacher-forced pass anew for every token."""
    batch = random_batch([(length, 1)])._replace(source=source[None, :length], source_lengths=torch.tensor([length]))
    tokens = [BOS]
    while len(tokens) <= most and tokens[-1] != EOS:
        target = torch.tensor([tokens])
        logits = model(batch._replace(target_in=target, target_out=target)).logits[0, -1]
        logits[[PAD, BOS]] = -torch.inf
        tokens.append(int(logits.argmax()))
    return tokens[1:]


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("name", architectures())
def test_greedy_equals_one_sentence_at_a_time_without_state(name: str, seed: int) -> None:
    model, batch = make(name, seed=seed), random_batch(LENGTHS)
    decoded = greedy(model, batch.source, batch.source_lengths, max_length=9)
    for row, (length, _) in enumerate(LENGTHS):
        expected = plainly(model, batch.source[row], length, 9)
        assert decoded[row].tolist() == expected + [PAD] * (9 - len(expected))


def test_sequences_that_end_leave_and_are_padded() -> None:
    model, batch = make("GRU"), random_batch(LENGTHS)
    asked = []

    class Ending(type(model)):
        """Row r produces EOS at its r-th step."""

        def step(self, token, state):
            logits, state, attention = super().step(token, state)
            asked.append(len(token))
            logits = torch.full_like(logits, 0.0)
            logits[:, 5] = 1.0
            logits[0, EOS] = 2.0
            return logits, state, attention

    model.__class__ = Ending
    decoded = greedy(model, batch.source, batch.source_lengths, max_length=6)
    assert asked == [4, 3, 2, 1]
    assert decoded.tolist() == [[5] * row + [EOS] + [PAD] * (5 - row) for row in range(4)]
