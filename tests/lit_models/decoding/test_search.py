"""Decoding against loops without any cleverness: greedy, beam search and sampling."""

import itertools
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.batch import BOS, EOS, PAD, Batch
from lit_models import architectures
from lit_models.decoding.search import Hypotheses, _highest, beam_search, greedy, sample
from lit_models.lit_module import LitSeq2Seq
from tests.helpers.models import every_model, label, make, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]
LIMITS = torch.tensor([9, 4, 7, 1])
every_architecture = pytest.mark.parametrize("name", architectures())
every_variant = pytest.mark.parametrize(("name", "options"), every_model(), ids=label)


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


def teacher_forced(model: Any, source: Tensor, length: int, sequences: list[tuple[int, ...]]) -> Tensor:
    """Log-probability of each sequence of ids for one source, from one teacher-forced pass."""
    target = torch.nn.utils.rnn.pad_sequence([torch.tensor(each) for each in sequences], batch_first=True)
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


def padded(tokens: tuple[int, ...], width: int) -> list[int]:
    return [*tokens, *[PAD] * (width - len(tokens))]


class FakeState(NamedTuple):
    sentence: Tensor  # (rows,) the sentence of each row
    taken: Tensor  # (rows,)


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
        return self.table[state.sentence, state.taken], state._replace(taken=state.taken + 1), None

    select_rows = LitSeq2Seq.select_rows
    select_hypotheses = LitSeq2Seq.select_hypotheses


def fake(probabilities: list[list[list[float]]]) -> tuple[Any, Tensor, Tensor]:
    """A fake model of those probabilities (sentence, position, V), and a source for it."""
    table = torch.tensor(probabilities).log()
    return Fake(table), torch.full((len(table), 1), 5), torch.ones(len(table), dtype=torch.long)


# ---------------------------------------------------------------------- greedy


@pytest.mark.parametrize("seed", [0, 3])
@every_architecture
def test_greedy_equals_one_sentence_at_a_time_without_state(name: str, seed: int) -> None:
    model, batch = make(name, seed=seed), random_batch(LENGTHS)
    decoded = greedy(model, batch.source, batch.source_lengths, max_lengths=9)
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


# ---------------------------------------------------------------------- beam search

WORDS: tuple[int, ...] = (EOS, 3, 4, 5)


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
    model, source, lengths = small(name, options)
    for alpha in (0.0, 0.6, 1.0):
        found = beam_search(model, source, lengths, 4, beam_size=121, length_penalty=alpha, n_best=5)
        for row in range(2):
            expected = brute_force(model, source[row], int(lengths[row]), 4, alpha, 5)
            assert [without_padding(tokens) for tokens in found.tokens[row]] == [each[1] for each in expected]
            torch.testing.assert_close(found.scores[row], torch.tensor([each[0] for each in expected]))
            torch.testing.assert_close(found.log_probabilities[row], torch.tensor([each[2] for each in expected]))


def test_what_the_limit_cuts_off_counts_only_where_too_few_have_ended() -> None:
    model, source, lengths = small("GRU", {})
    for most, n_best in ((1, 1), (1, 3), (2, 4), (2, 5)):
        found = beam_search(model, source, lengths, most, beam_size=16, length_penalty=0.6, n_best=n_best)
        for row in range(2):
            expected = brute_force(model, source[row], int(lengths[row]), most, 0.6, n_best)
            assert [without_padding(tokens) for tokens in found.tokens[row]] == [each[1] for each in expected]


def test_where_fewer_sequences_exist_than_asked_for_the_rest_is_padding() -> None:
    model, source, lengths = small("GRU", {})
    found = beam_search(model, source, lengths, 1, beam_size=6, n_best=6)
    assert set(found.tokens[0, :4, 0].tolist()) == set(WORDS)
    assert (found.tokens[:, 4:] == PAD).all()
    assert found.scores[:, 4:].isneginf().all()
    assert found.log_probabilities[:, 4:].isneginf().all()
    assert found.scores[:, :4].isfinite().all()


@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@every_architecture
def test_a_beam_of_one_is_greedy(name: str, alpha: float) -> None:
    for seed in range(4):
        model, batch = make(name, seed=seed), random_batch(LENGTHS)
        found = beam_search(model, batch.source, batch.source_lengths, LIMITS, beam_size=1, length_penalty=alpha)
        assert torch.equal(found.tokens[:, 0], greedy(model, batch.source, batch.source_lengths, LIMITS))


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


@every_variant
def test_reordering_within_sentences_equals_selecting_rows_of_everything(
    name: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = make(name, options, seed=2), random_batch(LENGTHS)
    shared = beam_search(model, batch.source, batch.source_lengths, 6, beam_size=4, n_best=4)
    drawn = sample(model, batch.source, batch.source_lengths, 6, 5, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(model, "select_hypotheses", lambda state, rows, sentences=None: model.select_rows(state, rows))
    repeated = beam_search(model, batch.source, batch.source_lengths, 6, beam_size=4, n_best=4)
    again = sample(model, batch.source, batch.source_lengths, 6, 5, generator=torch.Generator().manual_seed(0))
    for one, other in ((shared, repeated), (drawn, again)):
        assert torch.equal(one.tokens, other.tokens)
        torch.testing.assert_close(one.scores, other.scores)


@every_architecture
def test_the_source_side_of_a_state_is_not_copied_when_hypotheses_are_reordered(name: str) -> None:
    model, batch = make(name), random_batch(LENGTHS)
    state = model.start(model.encode(batch.source, batch.source_lengths))
    selected = model.select_hypotheses(state, torch.tensor([1, 0, 3, 2]))
    for field in getattr(state, "per_sentence", ()):
        assert getattr(selected, field) is getattr(state, field)
    attends = model.step(batch.target_in[:, 0], state)[2] is not None
    assert attends == bool(getattr(state, "per_sentence", ()))


@every_architecture
def test_hypotheses_are_distinct_sorted_and_as_probable_as_teacher_forcing_says(name: str) -> None:
    model, batch = make(name, seed=4), random_batch(LENGTHS)
    found = beam_search(model, batch.source, batch.source_lengths, 7, beam_size=5, length_penalty=0.6, n_best=5)
    for row, (length, _) in enumerate(LENGTHS):
        sequences = [without_padding(tokens) for tokens in found.tokens[row]]
        assert len(set(sequences)) == 5
        assert found.scores[row].tolist() == sorted(found.scores[row].tolist(), reverse=True)
        log_p = teacher_forced(model, batch.source[row], length, sequences)
        torch.testing.assert_close(found.log_probabilities[row], log_p, atol=1e-5, rtol=0)
        sizes = torch.tensor([len(sequence) for sequence in sequences])
        torch.testing.assert_close(found.scores[row], log_p / ((5 + sizes) / 6) ** 0.6, atol=1e-5, rtol=0)


def test_a_finished_sentence_leaves_the_beam() -> None:
    #                 PAD BOS EOS  3    4
    ends_at_once = [[0.0, 0.0, 0.9, 0.05, 0.05]] * 4
    never_ends = [[0.0, 0.0, 0.0, 0.6, 0.4]] * 4
    model, source, lengths = fake([ends_at_once, never_ends, ends_at_once])
    found = beam_search(model, source, lengths, 4, beam_size=2, length_penalty=0.0)
    assert model.rows_asked == [3, 2, 2, 2]  # both hypotheses of the sentence that goes on
    assert found.tokens[:, 0].tolist() == [[EOS, PAD, PAD, PAD], [3, 3, 3, 3], [EOS, PAD, PAD, PAD]]


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


@pytest.mark.parametrize("vocabulary", [5, 63, 64, 191, 1000, 1003])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_highest_values_are_those_of_topk(vocabulary: int, count: int) -> None:
    values = torch.randn(7, vocabulary + 1, generator=torch.Generator().manual_seed(0))[:, 1:]
    for own, other in zip(_highest(values, count), values.topk(count), strict=True):
        assert torch.equal(own, other)


def test_padding_and_bos_are_never_produced_but_keep_their_probability() -> None:
    model, source, lengths = fake([[[0.4, 0.3, 0.1, 0.15, 0.05]] * 3])
    assert greedy(model, source, lengths, 3).tolist() == [[3, 3, 3]]
    found = beam_search(model, source, lengths, 3, beam_size=1)
    assert found.tokens.tolist() == [[[3, 3, 3]]]
    torch.testing.assert_close(found.log_probabilities.exp(), torch.tensor([[0.15**3]]))
    drawn = sample(model, source, lengths, 3, samples=200, generator=torch.Generator().manual_seed(0))
    assert set(drawn.tokens[drawn.tokens != PAD].tolist()) == {EOS, 3, 4}
    assert not ((drawn.tokens == PAD) & (drawn.tokens.roll(-1, dims=2) > PAD))[:, :, :-1].any()


# ---------------------------------------------------------------------- sampling

#                PAD  BOS  EOS  3    4     5     6
DISTRIBUTION = [0.0, 0.0, 0.2, 0.5, 0.15, 0.1, 0.05]


def frequencies(**options: Any) -> Tensor:
    """(V,) how often 20,000 samples of one token fall on each id of the distribution."""
    model, source, lengths = fake([[DISTRIBUTION]])
    generator = torch.Generator().manual_seed(0)
    drawn = sample(model, source, lengths, 1, samples=20_000, generator=generator, **options)
    return drawn.tokens.flatten().bincount(minlength=len(DISTRIBUTION)) / 20_000


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 1}, {3}),
        ({"top_k": 3}, {3, EOS, 4}),
        ({"top_k": 100}, {3, EOS, 4, 5, 6}),
        ({"top_p": 0.4}, {3}),
        ({"top_p": 0.6}, {3, EOS}),
        ({"top_p": 0.75}, {3, EOS, 4}),
        ({"top_p": 0.97}, {3, EOS, 4, 5, 6}),
        # Of the two most probable tokens the first holds 5/7 of what is left.
        ({"top_k": 2, "top_p": 0.7}, {3}),
        ({"top_k": 2, "top_p": 0.8}, {3, EOS}),
        # Temperature first: squared and renormalised, token 3 holds 0.25 / 0.325 = 77%.
        ({"temperature": 0.5, "top_p": 0.75}, {3}),
        ({"temperature": 0.5, "top_p": 0.8}, {3, EOS}),
    ],
)
def test_top_k_and_top_p_keep_exactly_the_right_tokens(options: dict, kept: set[int]) -> None:
    assert set(frequencies(**options).nonzero().flatten().tolist()) == kept


@pytest.mark.parametrize(
    ("options", "power", "kept"),
    [
        ({}, 1.0, range(2, 7)),
        ({"temperature": 0.5}, 2.0, range(2, 7)),
        ({"temperature": 2.0}, 0.5, range(2, 7)),
        ({"top_k": 2}, 1.0, (2, 3)),
        ({"top_p": 0.75, "temperature": 1.0}, 1.0, (2, 3, 4)),
    ],
)
def test_tokens_are_drawn_as_often_as_their_probability_says(options: dict, power: float, kept: Any) -> None:
    expected = torch.zeros(len(DISTRIBUTION))
    expected[list(kept)] = torch.tensor(DISTRIBUTION)[list(kept)] ** power
    expected /= expected.sum()
    # Four standard deviations of a share in 20,000 draws.
    tolerance = 4 * (expected * (1 - expected) / 20_000).sqrt()
    assert ((frequencies(**options) - expected).abs() <= tolerance).all()


@every_architecture
def test_sampling_from_the_top_one_is_greedy_for_every_row_and_sample(name: str) -> None:
    model, batch = make(name, seed=1), random_batch(LENGTHS)
    drawn = sample(model, batch.source, batch.source_lengths, LIMITS, samples=3, top_k=1, temperature=3.0)
    expected = greedy(model, batch.source, batch.source_lengths, LIMITS)
    for index in range(3):
        assert torch.equal(drawn.tokens[:, index], expected)


@every_architecture
def test_scores_of_samples_are_their_log_probabilities_under_the_model(name: str) -> None:
    model, batch = make(name, seed=1), random_batch(LENGTHS)
    drawn = sample(
        model,
        batch.source,
        batch.source_lengths,
        LIMITS,
        samples=6,
        temperature=1.5,
        top_k=7,
        top_p=0.9,
        generator=torch.Generator().manual_seed(0),
    )
    assert torch.equal(drawn.scores, drawn.log_probabilities)
    for row, (length, _) in enumerate(LENGTHS):
        sequences = [without_padding(tokens) for tokens in drawn.tokens[row]]
        assert max(map(len, sequences)) <= LIMITS[row]
        log_p = teacher_forced(model, batch.source[row], length, sequences)
        torch.testing.assert_close(drawn.log_probabilities[row], log_p, atol=1e-5, rtol=0)


@pytest.mark.parametrize("top_k", [0, 8])
def test_the_generator_decides_what_is_drawn(top_k: int) -> None:
    model, batch = make("GRU"), random_batch(LENGTHS)

    def draw(seed: int) -> Hypotheses:
        generator = torch.Generator().manual_seed(seed)
        return sample(model, batch.source, batch.source_lengths, 8, 4, top_k=top_k, generator=generator)

    assert torch.equal(draw(0).tokens, draw(0).tokens)
    assert not torch.equal(draw(0).tokens, draw(1).tokens)
    state = torch.random.get_rng_state()
    draw(0)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_samples_that_have_ended_leave() -> None:
    ends, goes_on = [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]
    even = [0.0, 0.0, 0.5, 0.5]
    model, source, lengths = fake([[ends] * 5, [goes_on] * 5, [goes_on, ends, ends, ends, ends]])
    drawn = sample(model, source, lengths, torch.tensor([5, 4, 5]), samples=3)
    assert model.rows_asked == [9, 6, 3, 3]
    assert drawn.tokens[:, 0].tolist() == [[EOS, 0, 0, 0, 0], [3, 3, 3, 3, 0], [3, EOS, 0, 0, 0]]
    model, source, lengths = fake([[even] * 20])
    sample(model, source, lengths, 20, samples=100, generator=torch.Generator().manual_seed(0))
    asked = model.rows_asked
    assert asked[0] == 100
    assert 35 <= asked[1] <= 65
    assert asked == sorted(asked, reverse=True)


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("decode", "options", "message"),
    [
        (beam_search, {"beam_size": 0}, r"decoding\.beam_size: 0 must be at least 1"),
        (beam_search, {"n_best": 0}, r"decoding\.n_best: 0 must be at least 1"),
        (beam_search, {"beam_size": 2, "n_best": 3}, r"decoding\.n_best: 3 must be at most decoding\.beam_size, .* 2"),
        (beam_search, {"length_penalty": -0.5}, r"decoding\.length_penalty: -0\.5 must be at least 0"),
        (sample, {"samples": 0}, r"decoding\.samples: 0 must be at least 1"),
        (sample, {"temperature": 0.0}, r"decoding\.temperature: 0\.0 must be above 0"),
        (sample, {"top_k": -1}, r"decoding\.top_k: -1 must be at least 0"),
        (sample, {"top_p": 0.0}, r"decoding\.top_p: 0\.0 must lie in \(0, 1\]"),
        (sample, {"top_p": 1.1}, r"decoding\.top_p: 1\.1 must lie in \(0, 1\]"),
        (greedy, {"max_lengths": 0}, r"decoding\.max_lengths: 0 must be at least 1"),
        (greedy, {"max_lengths": torch.tensor([3, 4])}, r"decoding\.max_lengths: \(2,\) must be one number or one"),
    ],
)
def test_bad_arguments_are_named(decode: Any, options: dict, message: str) -> None:
    model, batch = make("GRU"), random_batch(LENGTHS)
    with pytest.raises(ValueError, match=message):
        decode(model, batch.source, batch.source_lengths, **{"max_lengths": 5, **options})


@every_architecture
def test_decoded_tokens_can_be_trained_on(name: str) -> None:
    model, batch = make(name), random_batch(LENGTHS)
    found = beam_search(model, batch.source, batch.source_lengths, 5, beam_size=2)
    drawn = sample(model, batch.source, batch.source_lengths, 5)
    for tokens in (found.tokens[:, 0], drawn.tokens[:, 0], greedy(model, batch.source, batch.source_lengths, 5)):
        target_in = F.pad(tokens, (1, 0), value=BOS)[:, :-1]
        model.loss(
            model(batch._replace(target_in=target_in, target_out=tokens)).logits, batch._replace(target_out=tokens)
        ).backward()
        assert model.source_embedding.weight.grad.any()


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
