"""Metrics on hand-made batches whose figures are worked out by hand."""

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.text import Perplexity

from data.batch import EOS, PAD, Batch
from lit_models.metrics import SequenceMetrics

A, B, C = 4, 5, 6  # three words
VOCAB_SIZE = 7


def batch() -> Batch:
    """Two sequences, `A B` and `C`, their gold alignments, and 4 and 2 bits of target."""
    target_out = torch.tensor([[A, B, EOS], [C, EOS, PAD]])
    return Batch(
        source=torch.tensor([[B, A], [C, PAD]]),
        source_lengths=torch.tensor([2, 1]),
        target_in=target_out,
        target_out=target_out,
        alignment=torch.tensor([[1, 0, -1], [0, -1, -1]]),
        target_bits=torch.tensor([4.0, 2.0]),
    )


def logits_for(tokens: Tensor, probability: float) -> Tensor:
    """Logits that give each token this probability and share the rest evenly."""
    rest = math.log((1 - probability) / (VOCAB_SIZE - 1))
    logits = torch.full((*tokens.shape, VOCAB_SIZE), rest)
    return logits.scatter(-1, tokens[..., None], math.log(probability))


def measured(forced: Tensor, decoded: Tensor, attention: Tensor | None = None, probability: float = 0.5) -> dict:
    metrics = SequenceMetrics()
    metrics.update(batch(), logits_for(forced, probability), attention, decoded)
    return metrics.compute()


RIGHT = torch.tensor([[A, B, EOS], [C, EOS, PAD]])


def test_loss_and_perplexity_count_eos_and_not_padding() -> None:
    values = measured(RIGHT, RIGHT)
    assert values["loss"] == pytest.approx(math.log(2))
    assert values["perplexity"] == pytest.approx(2)
    assert values["padding"] == pytest.approx(1 / 6)


def test_perplexity_equals_torchmetrics() -> None:
    logits = torch.randn(2, 3, VOCAB_SIZE, generator=torch.Generator().manual_seed(0))
    metrics, theirs = SequenceMetrics(), Perplexity(ignore_index=PAD)
    metrics.update(batch(), logits, None, RIGHT)
    theirs.update(logits, batch().target_out)
    assert metrics.compute()["perplexity"] == pytest.approx(float(theirs.compute()))


def test_token_accuracy_counts_words_without_eos() -> None:
    wrong_word = torch.tensor([[A, A, EOS], [C, EOS, PAD]])
    wrong_eos = torch.tensor([[A, B, A], [C, EOS, PAD]])
    assert measured(wrong_word, RIGHT)["token_accuracy"] == pytest.approx(2 / 3)
    assert measured(wrong_eos, RIGHT)["token_accuracy"] == 1
    assert measured(RIGHT, wrong_word)["greedy_token_accuracy"] == pytest.approx(2 / 3)
    assert measured(RIGHT, wrong_eos)["greedy_token_accuracy"] == 1


def test_of_answers_the_last_counts_wherever_it_stands() -> None:
    def accuracy(name: str, tokens: list[list[int]]) -> float:
        metrics, rows = SequenceMetrics(), torch.tensor(tokens)
        scored = batch()._replace(answers=torch.tensor([B, C]))
        metrics.update(scored, logits_for(rows, 0.5), None, rows, rows)
        return metrics.compute()[name]

    greedy = "greedy_token_accuracy"
    assert accuracy(greedy, [[A, B, EOS], [C, EOS, PAD]]) == 1
    assert accuracy(greedy, [[B, EOS, PAD], [A, C, EOS]]) == 1  # one word too few, one too many
    assert accuracy(greedy, [[C, B, EOS], [C, A, EOS]]) == 1
    assert accuracy(greedy, [[B, C, EOS], [A, A, EOS]]) == 0  # another answer behind it; none at all
    assert accuracy("forced_length_token_accuracy", [[B, A, PAD], [B, EOS, PAD]]) == 0.5
    assert accuracy("token_accuracy", [[A, B, EOS], [C, EOS, PAD]]) == 1
    assert accuracy("token_accuracy", [[C, B, EOS], [A, EOS, PAD]]) == 0.5  # at the place of the answer alone
    assert accuracy("exact_match", [[C, B, EOS], [C, EOS, PAD]]) == 0.5


def test_an_answer_behind_the_end_of_the_longest_target_counts_too() -> None:
    metrics = SequenceMetrics()
    decoded = torch.tensor([[A, A, A, A, B, EOS], [A, A, A, A, A, A]])
    metrics.update(batch()._replace(answers=torch.tensor([B, C])), logits_for(RIGHT, 0.5), None, decoded)
    values = metrics.compute()
    assert values["greedy_token_accuracy"] == 0.5
    assert (values["greedy_exact_match"], values["greedy_ended_late"]) == (0, 1)


def test_exact_match_wants_eos_too_and_ignores_what_follows_it() -> None:
    wrong_eos = torch.tensor([[A, B, A], [C, EOS, PAD]])
    noise_behind_eos = torch.tensor([[A, B, EOS], [C, EOS, A]])
    assert measured(wrong_eos, RIGHT)["exact_match"] == 0.5
    assert measured(RIGHT, wrong_eos)["greedy_exact_match"] == 0.5
    assert measured(noise_behind_eos, RIGHT)["exact_match"] == 1


def test_bits_recovered_are_bits_presented_less_the_cross_entropy_of_the_words() -> None:
    values = measured(RIGHT, RIGHT, probability=0.5)
    assert values["bits_presented"] == 3
    # One bit is lost on each of the three words: two in the first row, one in the second; EOS counts nothing.
    assert values["bits_recovered"] == pytest.approx(3 - 1.5)


def test_accuracy_by_position_counts_the_sequences_that_reach_it() -> None:
    metrics = SequenceMetrics()
    decoded = torch.tensor([[B, B, EOS], [C, EOS, PAD]])
    for _ in range(2):
        metrics.update(batch(), logits_for(RIGHT, 0.5), None, decoded)
    by_position = metrics.by_position.compute()
    assert by_position[:2].tolist() == [0.5, 1.0]
    assert by_position[2].isnan()


def test_alignment_accuracy_counts_words_whose_largest_weight_is_on_gold() -> None:
    attention = torch.tensor([[[0.2, 0.8], [0.4, 0.6], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]])
    assert measured(RIGHT, RIGHT, attention)["alignment_accuracy"] == pytest.approx(2 / 3)


def test_without_attention_there_is_no_alignment_accuracy() -> None:
    assert "alignment_accuracy" not in measured(RIGHT, RIGHT)


@pytest.mark.parametrize(
    ("decoded", "early", "late", "wrong"),
    [
        ([[A, B, EOS], [C, EOS, PAD]], 0.0, 0.0, 0.0),
        ([[A, EOS, PAD], [C, EOS, PAD]], 0.5, 0.0, 0.0),
        ([[A, B, C], [C, EOS, PAD]], 0.0, 0.5, 0.0),
        ([[A, B, EOS], [C, C, EOS]], 0.0, 0.5, 0.0),
        ([[A, C, EOS], [B, EOS, PAD]], 0.0, 0.0, 1.0),
        ([[EOS, PAD, PAD], [B, B, B]], 0.5, 0.5, 0.0),
        ([[B, EOS, PAD], [C, EOS, PAD]], 0.5, 0.0, 0.0),
    ],
)
def test_every_output_is_right_or_too_short_or_too_long_or_wrong_at_the_right_length(
    decoded: list[list[int]], early: float, late: float, wrong: float
) -> None:
    values = measured(RIGHT, torch.tensor(decoded))
    assert values["greedy_ended_early"] == early
    assert values["greedy_ended_late"] == late
    assert values["greedy_wrong_content"] == wrong
    assert early + late + wrong + values["greedy_exact_match"] == 1


def test_with_the_true_length_forced_words_are_counted_and_no_end() -> None:
    metrics = SequenceMetrics()
    metrics.update(batch(), logits_for(RIGHT, 0.5), None, RIGHT, torch.tensor([[A, C], [C, PAD]]))
    values = metrics.compute()
    assert values["forced_length_token_accuracy"] == pytest.approx(2 / 3)
    assert values["forced_length_exact_match"] == 0.5
    assert "forced_length_exact_match" not in measured(RIGHT, RIGHT)


def test_a_row_without_a_target_counts_nothing() -> None:
    metrics = SequenceMetrics()
    metrics.update(batch(), logits_for(RIGHT, 0.5), None, RIGHT)
    before = metrics.compute()
    empty = batch()._replace(target_out=torch.full((2, 3), PAD))
    metrics.update(empty, logits_for(RIGHT, 0.5), None, torch.full((2, 3), A))
    after = metrics.compute()
    del before["padding"], after["padding"]
    assert after == before
