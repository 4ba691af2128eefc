"""Beam search against all sequences there are."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from data.batch import EOS, PAD
from lit_models import architectures
from lit_models.decoding.search import beam_search, greedy
from tests.helpers.decoding import fake, teacher_forced, without_padding
from tests.helpers.models import every_model, label, make, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]
LIMITS = torch.tensor([9, 4, 7, 1])
WORDS: tuple[int, ...] = (EOS, 3, 4, 5)
every_architecture = pytest.mark.parametrize("name", architectures())
every_variant = pytest.mark.parametrize(("name", "options"), every_model(), ids=label)


def small(name: str, options: dict) -> tuple[Any, Tensor, Tensor]:
    """A model of six ids, and two sources."""
    model = make(name, {"source_vocab_size": 6, "target_vocab_size": 6, **options}, seed=1)
    return model, torch.tensor([[3, 5, 4], [4, 3, PAD]]), torch.tensor([3, 2])


def all_sequences(most: int) -> list[tuple[int, ...]]:
    """Everything that ends within `most` tokens, and everything cut off there."""
    ended = [(*words, EOS) for length in range(most) for words in itertools.product(WORDS[1:], repeat=length)]
    return ended + list(itertools.product(WORDS[1:], repeat=most))


def brute_force(
    model: Any, source: Tensor, length: int, most: int, alpha: float, n_best: int
) -> list[tuple[float, tuple[int, ...], float]]:
    """(score, sequence, log-probability) of the best of all sequences."""
    sequences = all_sequences(most)
    log_p = teacher_forced(model, source, length, sequences).tolist()
    ended = sum(sequence[-1] == EOS for sequence in sequences)
    ranked = [
        (value / ((5 + len(sequence)) / 6) ** alpha, sequence, value)
        for value, sequence in zip(log_p, sequences, strict=True)
        if sequence[-1] == EOS or ended < n_best
    ]
    return sorted(ranked, reverse=True)[:n_best]


@every_variant
def test_a_beam_as_wide_as_the_space_finds_the_best_of_all_sequences(name: str, options: dict) -> None:
    """Variants of an architecture decode to three tokens with one length penalty, which knows nothing of them."""
    model, source, lengths = small(name, options)
    most, alphas = (3, (0.6,)) if options else (4, (0.0, 0.6, 1.0))
    width = len(all_sequences(most))
    for alpha in alphas:
        best = beam_search(model, source, lengths, most, beam_size=width, length_penalty=alpha, n_best=5)
        for row in range(2):
            expected = brute_force(model, source[row], int(lengths[row]), most, alpha, 5)
            assert [without_padding(tokens) for tokens in best.tokens[row]] == [sequence for _, sequence, _ in expected]
            torch.testing.assert_close(best.scores[row], torch.tensor([score for score, _, _ in expected]))
            torch.testing.assert_close(best.log_probabilities[row], torch.tensor([log_p for _, _, log_p in expected]))


@every_architecture
def test_with_the_length_forced_a_wide_beam_finds_the_best_of_all_sequences_of_that_length(name: str) -> None:
    model, source, lengths = small(name, {})
    most = torch.tensor([4, 2])
    best = beam_search(model, source, lengths, most, beam_size=81, n_best=3, length_forced=True)
    for row in range(2):
        sequences = list(itertools.product(WORDS[1:], repeat=int(most[row])))
        log_p = teacher_forced(model, source[row], int(lengths[row]), sequences).tolist()
        expected = sorted(zip(log_p, sequences, strict=True), reverse=True)[:3]
        assert [without_padding(tokens) for tokens in best.tokens[row]] == [sequence for _, sequence in expected]
        torch.testing.assert_close(best.log_probabilities[row], torch.tensor([value for value, _ in expected]))


def test_what_the_limit_cuts_off_counts_only_where_too_few_have_ended() -> None:
    model, source, lengths = small("GRU", {})
    for most, n_best in ((1, 1), (1, 3), (2, 4), (2, 5)):
        best = beam_search(model, source, lengths, most, beam_size=16, length_penalty=0.6, n_best=n_best)
        for row in range(2):
            expected = brute_force(model, source[row], int(lengths[row]), most, 0.6, n_best)
            assert [without_padding(tokens) for tokens in best.tokens[row]] == [sequence for _, sequence, _ in expected]


def test_where_fewer_sequences_exist_than_asked_for_the_rest_is_padding() -> None:
    model, source, lengths = small("GRU", {})
    best = beam_search(model, source, lengths, 1, beam_size=6, n_best=6)
    assert set(best.tokens[0, :4, 0].tolist()) == set(WORDS)
    assert (best.tokens[:, 4:] == PAD).all()
    assert best.scores[:, 4:].isneginf().all()
    assert best.log_probabilities[:, 4:].isneginf().all()
    assert best.scores[:, :4].isfinite().all()


@every_architecture
def test_a_beam_of_one_is_greedy(name: str) -> None:
    for seed, alpha in enumerate((0.0, 1.0, 3.0)):
        model, batch = make(name, seed=seed), random_batch(LENGTHS)
        best = beam_search(model, batch.source, batch.source_lengths, LIMITS, beam_size=1, length_penalty=alpha)
        assert torch.equal(best.tokens[:, 0], greedy(model, batch.source, batch.source_lengths, LIMITS))


@every_architecture
def test_beam_search_of_a_batch_equals_one_by_one(name: str) -> None:
    model, batch = make(name, seed=2), random_batch(LENGTHS)
    together = beam_search(model, batch.source, batch.source_lengths, LIMITS, beam_size=4, n_best=3)
    for row, (length, _) in enumerate(LENGTHS):
        most = int(LIMITS[row])
        alone = beam_search(model, batch.source[[row], :length], batch.source_lengths[[row]], most, 4, n_best=3)
        for rank in range(3):
            assert without_padding(together.tokens[row, rank]) == without_padding(alone.tokens[0, rank])
        torch.testing.assert_close(together.scores[row], alone.scores[0])


@every_architecture
def test_hypotheses_are_distinct_sorted_and_as_probable_as_teacher_forcing_says(name: str) -> None:
    model, batch = make(name, seed=4), random_batch(LENGTHS)
    best = beam_search(model, batch.source, batch.source_lengths, 7, beam_size=5, length_penalty=0.6, n_best=5)
    for row, (length, _) in enumerate(LENGTHS):
        sequences = [without_padding(tokens) for tokens in best.tokens[row]]
        assert len(set(sequences)) == 5
        assert best.scores[row].tolist() == sorted(best.scores[row].tolist(), reverse=True)
        log_p = teacher_forced(model, batch.source[row], length, sequences)
        torch.testing.assert_close(best.log_probabilities[row], log_p, atol=1e-5, rtol=0)
        sizes = torch.tensor([len(sequence) for sequence in sequences])
        torch.testing.assert_close(best.scores[row], log_p / ((5 + sizes) / 6) ** 0.6, atol=1e-5, rtol=0)


def test_a_finished_sentence_leaves_the_beam() -> None:
    #                 PAD BOS EOS  3    4
    ends_at_once = [[0.0, 0.0, 0.9, 0.05, 0.05]] * 4
    never_ends = [[0.0, 0.0, 0.0, 0.6, 0.4]] * 4
    model, source, lengths = fake([ends_at_once, never_ends, ends_at_once])
    best = beam_search(model, source, lengths, 4, beam_size=2, length_penalty=0.0)
    assert model.rows_asked == [3, 2, 2, 2]  # both hypotheses of the sentence that goes on
    assert best.tokens[:, 0].tolist() == [[EOS, PAD, PAD, PAD], [3, 3, 3, 3], [EOS, PAD, PAD, PAD]]


def test_a_beam_goes_on_exactly_as_long_as_an_open_hypothesis_can_win() -> None:
    # After one step EOS scores log 0.5 and token 3 is open with log 0.4. Without a penalty it can never win. With
    # alpha 1 it may still reach log 0.4 / (5 + 4) * 6, more than log 0.5, and does.
    probabilities = [[[0.0, 0.0, 0.5, 0.4, 0.1], *[[0.0, 0.0, 0.01, 0.98, 0.01]] * 2, [0.0, 0.0, 0.98, 0.01, 0.01]]]
    model, source, lengths = fake(probabilities)
    plain = beam_search(model, source, lengths, 4, beam_size=2, length_penalty=0.0)
    assert (model.rows_asked, plain.tokens[0, 0].tolist()) == ([1], [EOS, PAD, PAD, PAD])
    model, source, lengths = fake(probabilities)
    penalised = beam_search(model, source, lengths, 4, beam_size=2, length_penalty=1.0)
    assert (len(model.rows_asked), penalised.tokens[0, 0].tolist()) == (4, [3, 3, 3, EOS])
