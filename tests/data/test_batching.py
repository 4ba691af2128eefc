"""Batches: every example once, within the budget, the same over any number of ranks and after any restart."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from data.batch import BOS, EOS, PAD, Batch
from data.batching import EvaluationBatches, ExampleStore, TrainingStream, plan_batches, random_order
from data.datamodule import Seq2SeqDataModule
from data.tasks import generate
from lit_models import architectures
from tests.helpers.models import make


def store(count: int = 103, seed: int = 0) -> ExampleStore:
    return ExampleStore(generate("reverse", 16, 2, 12, count=count, seed=seed, split="train"))


def rows(batch: Batch) -> list[tuple[int, ...]]:
    """The source sequences of a batch that have a target."""
    counted = (batch.target_out != PAD).any(dim=1)
    return [
        tuple(source[:length].tolist())
        for source, length in zip(batch.source[counted], batch.source_lengths[counted], strict=True)
    ]


def one_pass(stream: TrainingStream, batches: int) -> list[Batch]:
    return list(itertools.islice(stream, batches))


def test_targets_begin_with_bos_and_end_with_eos() -> None:
    batch = store().batch(np.arange(20))
    assert (batch.target_in[:, 0] == BOS).all()
    for target_in, target_out, length in zip(batch.target_in, batch.target_out, batch.source_lengths, strict=True):
        assert target_out[length] == EOS
        assert (target_out[length + 1 :] == PAD).all()
        assert torch.equal(target_in[1 : length + 1], target_out[:length])
        assert (target_in[length + 1 :] == PAD).all()


def test_a_plan_holds_every_example_once_within_the_budget() -> None:
    lengths = store().lengths
    plan = plan_batches(lengths, random_order(103, 0, 0), batch_tokens=64)
    assert sorted(np.concatenate(plan)) == list(range(103))
    for batch in plan:
        assert len(batch) * lengths[batch].max() <= 64


def test_a_plan_respects_the_most_rows() -> None:
    plan = plan_batches(store().lengths, np.arange(103), batch_tokens=1000, batch_size=7)
    assert max(len(batch) for batch in plan) == 7


def test_bucketing_by_length_wastes_little_padding() -> None:
    lengths = store(2000).lengths
    order = random_order(2000, 0, 0)
    plan = plan_batches(lengths, order, batch_tokens=256)
    padded = sum(len(batch) * lengths[batch].max() for batch in plan)
    assert lengths.sum() / padded > 0.95


def test_widths_can_be_multiples_so_that_batches_have_few_shapes() -> None:
    examples = generate("unroll", 16, 2, 12, count=400, seed=0, split="train")
    shapes = {}
    for multiple in (1, 8):
        stream = TrainingStream(ExampleStore(examples, multiple=multiple), 128, None, seed=0)
        batches = one_pass(stream, len(stream.plan(0)))
        assert Counter(row for batch in batches for row in rows(batch)) == Counter(
            tuple(row[:length].tolist()) for row, length in zip(examples.source, examples.source_lengths, strict=True)
        )
        for batch in batches:
            assert batch.source.shape[1] % multiple == batch.target_in.shape[1] % multiple == 0
            assert batch.target_in.shape == batch.target_out.shape
            assert max(batch.source.shape[1], batch.target_in.shape[1]) * len(batch.source) <= 128
            assert batch.on_host is not None
            assert batch.on_host.padded == bool((batch.source[:, -1] == PAD).any())
        shapes[multiple] = len({(batch.source.shape, batch.target_in.shape) for batch in batches})
    assert shapes[8] < shapes[1] / 2


@pytest.mark.parametrize("name", architectures())
def test_wider_batches_train_on_the_same_loss(name: str) -> None:
    examples = generate("reverse", 16, 2, 12, count=6, seed=0, split="train")
    model = make(name, {"source_vocab_size": 20, "target_vocab_size": 20})
    batches = [ExampleStore(examples, multiple=multiple).batch(np.arange(6)) for multiple in (1, 16)]
    torch.testing.assert_close(*(model.training_step(batch, 0) for batch in batches))
    for narrow, wide in zip(*batches, strict=True):
        if isinstance(narrow, torch.Tensor) and narrow.dim() == 2:
            assert torch.equal(wide[:, : narrow.shape[1]], narrow)


def test_only_training_batches_are_wider() -> None:
    options = {"task": "copy", "length": 10, "min_length": 3, "eval_lengths": [20], "batch_tokens": 22}
    data = Seq2SeqDataModule(**options, train_examples=50, validation_examples=10, test_examples=2, pad_to_multiple=16)
    batch = next(iter(data.train_dataloader()))
    assert (batch.source.shape[1], batch.target_in.shape[1]) == (16, 16)
    assert {batch.source.shape[1] for batch in data.val_dataloader()} <= set(range(3, 11))
    assert [batch.source.shape[1] for batch in data.test_dataloader()[-1]] == [20, 20]


def test_a_sequence_longer_than_the_budget_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.batch_tokens: 8 cannot hold the longest sequence of 13 tokens"):
        plan_batches(np.array([3, 13]), np.arange(2), batch_tokens=8)


def test_every_pass_holds_every_example_in_another_order() -> None:
    stream = TrainingStream(store(), batch_tokens=64, batch_size=None, seed=3)
    passes = []
    for number in range(2):
        passes.append([row for batch in one_pass(stream, len(stream.plan(number))) for row in rows(batch)])
    everything = Counter(rows(store().batch(np.arange(103))))
    assert Counter(passes[0]) == Counter(passes[1]) == everything
    assert passes[0] != passes[1]


def test_a_restored_stream_continues_where_the_other_stood() -> None:
    options = {"batch_tokens": 64, "batch_size": None, "seed": 3}
    stream = TrainingStream(store(), **options)
    number = len(stream.plan(0)) + 2  # into the second pass
    one_pass(stream, number)
    state = stream.state_dict()
    expected = one_pass(stream, 5)
    resumed = TrainingStream(store(), **options)
    resumed.load_state_dict(state)
    for mine, theirs in zip(one_pass(resumed, 5), expected, strict=True):
        assert torch.equal(mine.source, theirs.source)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_each_batch_without_overlap(ranks: int) -> None:
    options = {"batch_tokens": 40, "batch_size": None, "seed": 0}
    alone = TrainingStream(store(), **options)
    shared = [TrainingStream(store(), **options, rank=rank, ranks=ranks) for rank in range(ranks)]
    for whole, *parts in zip(one_pass(alone, 60), *(one_pass(stream, 60) for stream in shared), strict=True):
        assert Counter(rows(whole)) == sum((Counter(rows(part)) for part in parts), Counter())
        assert all(part.source.shape[1] == whole.source.shape[1] for part in parts)
        # Losses divided by loss_tokens, averaged over ranks, are the loss of the whole batch.
        assert whole.loss_tokens is not None
        assert sum(float(part.loss_tokens) for part in parts) == pytest.approx(float(whole.loss_tokens))
        assert float(whole.loss_tokens) == (whole.target_out != PAD).sum()


def test_a_rank_without_a_row_keeps_step_with_an_empty_target() -> None:
    batch = store().batch(np.array([5]), rank=1, ranks=2)
    assert batch.source.shape[0] == 1
    assert (batch.target_out == PAD).all()


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_evaluation_sees_every_example_once_over_all_ranks(ranks: int) -> None:
    seen = Counter()
    for rank in range(ranks):
        for batch in EvaluationBatches(store(), 64, None, rank, ranks):
            seen.update(rows(batch))
    assert seen == Counter(rows(store().batch(np.arange(103))))


def test_the_datamodule_tests_at_its_own_and_every_other_length() -> None:
    data = Seq2SeqDataModule(length=6, min_length=2, eval_lengths=[9, 3], test_examples=20)
    assert data.eval_lengths == [3, 6, 9]
    for length, loader in zip(data.eval_lengths, data.test_dataloader(), strict=True):
        lengths = torch.cat([batch.source_lengths for batch in loader])
        assert lengths.tolist() == [length] * 20


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"length": 40, "min_length": 1}, [5, 10, 20, 30, 40, 50, 60, 80]),
        ({"length": 40, "min_length": 15}, [20, 30, 40, 50, 60, 80]),
        ({"length": 40}, [40]),
        ({"length": 40, "min_length": 1, "eval_lengths": [7]}, [7, 40]),
        ({"length": 40, "min_length": 1, "eval_lengths": []}, [40]),
        ({"length": 3, "min_length": 1}, [3, 4, 6]),
        ({"task": "associative-recall", "vocabulary": 12, "length": 12, "min_length": 3}, [6, 9, 12]),
    ],
)
def test_one_model_for_many_lengths_is_tested_within_them_and_up_to_twice_the_greatest(
    options: dict, expected: list[int]
) -> None:
    assert Seq2SeqDataModule(**options).eval_lengths == expected


def test_a_task_with_an_alphabet_of_its_own_has_no_other_vocabulary() -> None:
    assert Seq2SeqDataModule("parity", vocabulary=32).vocabulary == 2
    assert Seq2SeqDataModule("induction", vocabulary=32).vocabulary == 32


def test_a_range_of_lengths_begins_where_the_task_does() -> None:
    assert Seq2SeqDataModule("copy", length=20, min_length=1).min_length == 1
    assert Seq2SeqDataModule("mqar", length=20, min_length=1).min_length == 6
    assert Seq2SeqDataModule("mqar", length=20, min_length=9).min_length == 9


def test_the_length_of_unroll_is_that_of_its_targets() -> None:
    data = Seq2SeqDataModule("unroll", length=40, min_length=1, test_examples=20)
    for length, loader in zip(data.eval_lengths, data.test_dataloader(), strict=True):
        batches = list(loader)
        assert {batch.target_out.shape[1] for batch in batches} == {length + 1}
        assert {batch.source.shape[1] for batch in batches} == {3 if length < 16 else 4}


def test_the_datamodule_trains_on_its_range_of_lengths() -> None:
    data = Seq2SeqDataModule(length=6, min_length=4, train_examples=200)
    stream = data.train_dataloader()
    lengths = torch.cat([batch.source_lengths for batch in one_pass(stream, len(stream.plan(0)))])
    assert set(lengths.tolist()) == {4, 5, 6}
    assert len(lengths) == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, r"data\.length: 0 is too short"),
        ({"vocabulary": 1}, r"data\.vocabulary: 1 is too small"),
        ({"eval_lengths": [0]}, r"data\.eval_lengths: 0 is too short"),
        ({"train_examples": 0}, r"data\.train_examples: 0 must be at least 1"),
        ({"batch_size": 0}, r"data\.batch_size: 0 must be at least 1"),
        ({"length": 50, "batch_tokens": 40}, r"data\.batch_tokens: 40 cannot hold a sequence of 51 tokens"),
        ({"vocabulary": 2, "length": 1}, r"data\.vocabulary: reverse with vocabulary 2 and length 1 to 1 has too few"),
        ({"task": "parity", "length": 1}, r"data\.length: parity with vocabulary 2 and length 1 to 1 has too few"),
        (
            {"task": "parity", "length": 9, "eval_lengths": [1]},
            r"data\.eval_lengths: parity .* raise data\.eval_lengths",
        ),
        ({"task": "duplicate", "batch_tokens": 30}, r"data\.batch_tokens: 30 cannot hold a sequence of 41 tokens"),
        ({"seed": -1}, r"data\.seed: -1 must be between 0"),
        ({"pad_to_multiple": 0}, r"data\.pad_to_multiple: 0 must be at least 1"),
        (
            {"batch_tokens": 30, "pad_to_multiple": 16},
            r"data\.batch_tokens: 30 .* 32 tokens, which data\.pad_to_multiple",
        ),
        ({"task": "masked", "corpus": "negation", "pad_to_multiple": 2}, r"data\.pad_to_multiple: batches of masked"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Seq2SeqDataModule(**options)
