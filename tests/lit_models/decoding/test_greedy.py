"""Greedy decoding against a loop without any cleverness."""

from collections.abc import Sequence

import pytest
import torch

from data.batch import BOS, EOS, PAD
from lit_models import architectures
from lit_models.decoding.search import greedy
from tests.helpers.decoding import without_padding
from tests.helpers.models import make, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]
LIMITS = torch.tensor([9, 4, 7, 1])
every_architecture = pytest.mark.parametrize("name", architectures())


def plainly(model, source: torch.Tensor, length: int, most: int, barred: Sequence[int] = (PAD, BOS)) -> list[int]:
    """Greedy decoding of one sentence by running the whole teacher-forced pass anew for every token."""
    batch = random_batch([(length, 1)])._replace(source=source[None, :length], source_lengths=torch.tensor([length]))
    tokens = [BOS]
    while len(tokens) <= most and tokens[-1] != EOS:
        target = torch.tensor([tokens])
        logits = model(batch._replace(target_in=target, target_out=target)).logits[0, -1]
        logits[list(barred)] = -torch.inf
        tokens.append(int(logits.argmax()))
    return tokens[1:]


@pytest.mark.parametrize("seed", [0, 3])
@every_architecture
def test_greedy_equals_one_sentence_at_a_time_without_state(name: str, seed: int) -> None:
    model, batch = make(name, seed=seed), random_batch(LENGTHS)
    decoded = greedy(model, batch.source, batch.source_lengths, max_lengths=9)
    for row, (length, _) in enumerate(LENGTHS):
        expected = plainly(model, batch.source[row], length, 9)
        assert decoded[row].tolist() == expected + [PAD] * (9 - len(expected))


@every_architecture
def test_with_the_length_forced_no_output_ends_before_its_limit(name: str) -> None:
    model, batch = make(name, seed=3), random_batch(LENGTHS)
    model.apply(ending_often)
    decoded = greedy(model, batch.source, batch.source_lengths, LIMITS, length_forced=True)
    for row, (length, _) in enumerate(LENGTHS):
        expected = plainly(model, batch.source[row], length, int(LIMITS[row]), barred=(PAD, BOS, EOS))
        assert len(expected) == LIMITS[row]
        assert without_padding(decoded[row]) == tuple(expected)


@every_architecture
def test_a_test_decodes_with_the_length_forced_only_what_ended_too_early(name: str) -> None:
    model, batch = make(name, seed=3), random_batch(LENGTHS)  # targets of 4, 7, 2 and 6 words
    free = torch.tensor([[5, EOS] + [PAD] * 6, [5] * 8, [5, 5, EOS] + [PAD] * 5, [5] * 8])
    forced = model._length_forced(batch, free)
    expected = plainly(model, batch.source[0], 5, 4, barred=(PAD, BOS, EOS))
    assert forced.tolist() == [expected + [PAD] * 4, [5] * 7 + [PAD], [5] * 2 + [PAD] * 6, [5] * 6 + [PAD] * 2]


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
    decoded = greedy(model, batch.source, batch.source_lengths, max_lengths=6)
    assert asked == [4, 3, 2, 1]
    assert decoded.tolist() == [[5] * row + [EOS] + [PAD] * (5 - row) for row in range(4)]


@every_architecture
def test_greedy_of_a_batch_with_a_limit_for_each_row_equals_one_by_one(name: str) -> None:
    model, batch = make(name, seed=3), random_batch(LENGTHS)
    model.apply(never_ending)
    together = greedy(model, batch.source, batch.source_lengths, LIMITS)
    assert (together != PAD).sum(dim=1).tolist() == LIMITS.tolist()
    for row, (length, _) in enumerate(LENGTHS):
        alone = greedy(model, batch.source[[row], :length], batch.source_lengths[[row]], int(LIMITS[row]))
        assert without_padding(together[row]) == without_padding(alone[0])


def never_ending(module: torch.nn.Module) -> None:
    """Make EOS impossible, where the module is an output layer of the vocabulary."""
    if isinstance(module, torch.nn.Linear) and module.out_features == 12 and module.bias is not None:
        module.bias.data[EOS] = -1e4


def ending_often(module: torch.nn.Module) -> None:
    """Make EOS likely, where the module is an output layer of the vocabulary."""
    if isinstance(module, torch.nn.Linear) and module.out_features == 12 and module.bias is not None:
        module.bias.data[EOS] += 0.4


def test_two_steps_from_one_transformer_state_give_two_futures() -> None:
    model, batch = make("Transformer"), random_batch(LENGTHS)
    state = model.start(model.encode(batch.source, batch.source_lengths))
    with torch.inference_mode():
        for _ in range(3):  # far enough that the cache has room
            _, state, _ = model.step(torch.full((4,), 3), state)
        _, one, _ = model.step(torch.full((4,), 4), state)
        expected = model.step(torch.full((4,), 6), one)[0]
        _, one, _ = model.step(torch.full((4,), 4), state)
        _, _other, _ = model.step(torch.full((4,), 5), state)
        torch.testing.assert_close(model.step(torch.full((4,), 6), one)[0], expected)
