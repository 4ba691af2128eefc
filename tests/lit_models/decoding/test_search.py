"""What greedy decoding, beam search and sampling have in common."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from data.batch import BOS, EOS, PAD
from lit_models import architectures
from lit_models.decoding.search import _highest, beam_search, greedy, sample
from tests.helpers.decoding import fake
from tests.helpers.models import every_model, label, make, random_batch

LENGTHS = [(5, 4), (7, 7), (1, 2), (3, 6)]
LIMITS = torch.tensor([9, 4, 7, 1])
every_architecture = pytest.mark.parametrize("name", architectures())
every_variant = pytest.mark.parametrize(("name", "options"), every_model(), ids=label)


@every_architecture
def test_the_source_side_of_a_state_is_not_copied_when_hypotheses_are_reordered(name: str) -> None:
    model, batch = make(name), random_batch(LENGTHS)
    state = model.start(model.encode(batch.source, batch.source_lengths))
    selected = model.select_hypotheses(state, torch.tensor([1, 0, 3, 2]))
    for field in getattr(state, "per_sentence", ()):
        assert getattr(selected, field) is getattr(state, field)
    attends = model.step(batch.target_in[:, 0], state)[2] is not None
    assert attends == bool(getattr(state, "per_sentence", ()))


@every_variant
def test_reordering_within_sentences_equals_selecting_rows_of_everything(
    name: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = make(name, options, seed=2), random_batch(LENGTHS)
    shared = beam_search(model, batch.source, batch.source_lengths, 4, beam_size=3, n_best=3)
    drawn = sample(model, batch.source, batch.source_lengths, 4, 3, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(model, "select_hypotheses", lambda state, rows, sentences=None: model.select_rows(state, rows))
    repeated = beam_search(model, batch.source, batch.source_lengths, 4, beam_size=3, n_best=3)
    again = sample(model, batch.source, batch.source_lengths, 4, 3, generator=torch.Generator().manual_seed(0))
    for one, other in ((shared, repeated), (drawn, again)):
        assert torch.equal(one.tokens, other.tokens)
        torch.testing.assert_close(one.scores, other.scores)


@pytest.mark.parametrize("vocabulary", [5, 63, 64, 191, 1000, 1003])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_highest_values_are_those_of_topk(vocabulary: int, count: int) -> None:
    values = torch.randn(7, vocabulary + 1, generator=torch.Generator().manual_seed(0))[:, 1:]
    for highest, expected in zip(_highest(values, count), values.topk(count), strict=True):
        assert torch.equal(highest, expected)


def test_padding_and_bos_are_never_produced_but_keep_their_probability() -> None:
    model, source, lengths = fake([[[0.4, 0.3, 0.1, 0.15, 0.05]] * 3])
    assert greedy(model, source, lengths, 3).tolist() == [[3, 3, 3]]
    best = beam_search(model, source, lengths, 3, beam_size=1)
    assert best.tokens.tolist() == [[[3, 3, 3]]]
    torch.testing.assert_close(best.log_probabilities.exp(), torch.tensor([[0.15**3]]))
    drawn = sample(model, source, lengths, 3, samples=200, generator=torch.Generator().manual_seed(0))
    assert set(drawn.tokens[drawn.tokens != PAD].tolist()) == {EOS, 3, 4}
    assert not ((drawn.tokens == PAD) & (drawn.tokens.roll(-1, dims=2) > PAD))[:, :, :-1].any()


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
    best = beam_search(model, batch.source, batch.source_lengths, 5, beam_size=2)
    drawn = sample(model, batch.source, batch.source_lengths, 5)
    for tokens in (best.tokens[:, 0], drawn.tokens[:, 0], greedy(model, batch.source, batch.source_lengths, 5)):
        target_in = F.pad(tokens, (1, 0), value=BOS)[:, :-1]
        model.loss(
            model(batch._replace(target_in=target_in, target_out=tokens)).logits, batch._replace(target_out=tokens)
        ).backward()
        assert model.source_embedding.weight.grad.any()
