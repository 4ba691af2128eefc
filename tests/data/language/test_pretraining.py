"""Pre-training: what is hidden of a sentence, how much of it, and when it is drawn."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data.batch import BOS, EOS, FIRST_TOKEN, PAD, UNK, Batch
from data.datamodule import Seq2SeqDataModule
from data.language.pretraining import drop_spans, mask, percent
from data.tasks import SPLITS
from lit_models.encoder_only import EncoderOnly

VOCABULARY = 10_000  # of which a random token is hardly ever the one that stood there


def sentences(count: int = 4000, longest: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, no two alike in a sentence, lengths of 1 to the longest, and random words."""
    random = np.random.default_rng(0)
    lengths = 1 + np.arange(count) % longest
    begin = random.integers(0, VOCABULARY, (count, 1))
    tokens = FIRST_TOKEN + (begin + 37 * np.arange(longest)) % (VOCABULARY - FIRST_TOKEN)
    tokens[np.arange(longest) >= lengths[:, None]] = PAD
    return tokens, lengths, random.integers(0, 2**64, (count, 3 * longest), dtype=np.uint64)


def module(task: str, seed: int = 0) -> Seq2SeqDataModule:
    return Seq2SeqDataModule(
        task, corpus="negation", length=12, train_examples=60, validation_examples=40, test_examples=40, seed=seed
    )


def first_pass(data: Seq2SeqDataModule, number: int = 0) -> Batch:
    return data.train_dataloader().store.batch(np.arange(40), number=number)


def test_masking_asks_for_15_percent_and_replaces_them_by_the_shares_of_bert() -> None:
    tokens, lengths, words = sentences()
    hidden = mask(tokens, lengths, words, VOCABULARY)
    assert hidden.asked is not None and (hidden.lengths == lengths).all()
    assert (hidden.asked.sum(axis=1) == [max(1, round(0.15 * n + 1e-9)) for n in lengths]).all()
    assert not hidden.asked[tokens == PAD].any() and (hidden.source == tokens)[~hidden.asked].all()
    asked, shown = tokens[hidden.asked], hidden.source[hidden.asked]
    shares = {"mask": np.mean(shown == UNK), "kept": np.mean(shown == asked)}
    shares["random"] = 1 - shares["mask"] - shares["kept"]
    for name, share in {"mask": 0.8, "random": 0.1, "kept": 0.1}.items():
        assert abs(shares[name] - share) < 4 * (share * (1 - share) / len(asked)) ** 0.5, name
    assert shown[shown != UNK].min() >= FIRST_TOKEN


def test_every_token_of_a_sentence_is_as_likely_to_be_asked_for() -> None:
    tokens, lengths, words = sentences()
    hidden = mask(tokens[lengths == 20], lengths[lengths == 20], words[lengths == 20], VOCABULARY)
    assert hidden.asked is not None
    assert np.abs(hidden.asked.mean(axis=0) - 0.15).max() < 4 * (0.15 * 0.85 / len(hidden.asked)) ** 0.5


def test_dropped_spans_are_30_percent_each_behind_one_sign_and_apart() -> None:
    tokens, lengths, words = sentences()
    hidden = drop_spans(tokens, lengths, words, VOCABULARY)
    assert hidden.asked is None
    signs = 0
    for sentence, length, source, left in zip(
        tokens.tolist(), lengths.tolist(), hidden.source.tolist(), hidden.lengths.tolist(), strict=True
    ):
        shown = source[:left]
        assert set(source[left:]) <= {PAD} and PAD not in shown
        kept = [token for token in shown if token != UNK]
        places = [sentence.index(token) for token in kept]
        assert places == sorted(places), "what is left stands in its order"
        assert length - len(kept) == percent(np.array([length]), 30)[0]
        edges = [-1, *places, length]
        gaps = [edge for edge, after in pairwise(edges) if after - edge > 1]
        assert len(gaps) == shown.count(UNK), "one sign for each span, none empty, none touching another"
        signs += len(gaps)
    long = lengths >= 10
    assert 2.5 < percent(lengths[long], 30).sum() / (hidden.source[long] == UNK).sum() < 3.5


def test_of_a_language_model_the_source_says_nothing_and_the_sentence_is_the_target() -> None:
    data = module("next-token")
    batch = first_pass(data)
    assert batch.source.tolist() == [[BOS]] * 40
    assert data.text is not None
    told = [data.text.tokenizers[1].decode(row) for row in batch.target_out.tolist()]
    assert told == data.text.text("train").source[:40]
    assert ((batch.target_out == EOS).sum(dim=1) == 1).all()


@pytest.mark.parametrize("task", ["masked", "denoise"])
def test_what_is_hidden_is_drawn_anew_in_each_pass_and_fixed_in_validation(task: str) -> None:
    data, again, other = module(task), module(task), module(task, seed=1)
    assert torch.equal(first_pass(data).source, first_pass(again).source)
    assert not torch.equal(first_pass(data).source, first_pass(data, number=1).source)
    assert first_pass(data).source.tolist() != first_pass(other).source.tolist()
    loader = data.val_dataloader()
    for before, after in zip(loader, loader, strict=True):
        assert torch.equal(before.source, after.source) and torch.equal(before.target_out, after.target_out)


@pytest.mark.parametrize("task", ["masked", "denoise"])
def test_a_sentence_is_hidden_alike_in_any_batch_and_a_stream_goes_on_where_it_stood(task: str) -> None:
    store = module(task).train_dataloader().store
    together, [alone] = store.batch(np.arange(9)), [store.batch(np.array([4]))]
    width = int(alone.source_lengths[0])
    assert torch.equal(together.source[4, :width], alone.source[0]) and together.source_lengths[4] == width
    stream, later = module(task).train_dataloader(), module(task).train_dataloader()
    whole = iter(stream)
    first = [next(whole) for _ in range(len(stream.plan(0)) + 1)]  # into the second pass
    later.load_state_dict({"passes": 0, "batches_of_pass": len(first) - 1})
    assert torch.equal(next(iter(later)).source, first[-1].source)


def test_the_loss_of_masking_counts_the_asked_tokens_alone() -> None:
    data = module("masked")
    batch = first_pass(data)
    assert data.text is not None and batch.loss_tokens is not None
    model = EncoderOnly(
        hidden_size=8, num_heads=2, source_vocab_size=data.source_vocab_size, target_vocab_size=data.target_vocab_size
    )
    logits = model(batch).logits
    chosen = [(row, place) for row, place in (batch.target_out != PAD).nonzero().tolist()]
    assert len(chosen) == int(batch.loss_tokens) == int(percent(batch.source_lengths.numpy(), 15).sum())
    each = [F.cross_entropy(logits[row, place], batch.target_out[row, place]) for row, place in chosen]
    assert torch.allclose(model.loss(logits, batch), torch.stack(each).mean(), atol=1e-5)
    changed = logits.clone()
    changed[(batch.target_out == PAD)] += 3 * torch.randn(logits.shape[-1])
    assert torch.allclose(model.loss(changed, batch), model.loss(logits, batch))


def test_splits_of_generated_sentences_are_disjoint_and_chance_is_the_share_of_the_commonest_word() -> None:
    data = module("masked")
    assert data.text is not None
    texts = [set(data.text.text(split).source) for split in SPLITS]
    assert all(not texts[one] & texts[other] for one, other in ((0, 1), (0, 2), (1, 2)))
    words = " ".join(data.text.text("test").source).replace(".", " .").replace(",", " ,").split()
    assert data.chance(12) == pytest.approx(max(words.count(word) for word in set(words)) / len(words))
