"""Text through the one DataModule: tokens, lengths, what is left out, and what a trial is called after."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data.batch import EOS, PAD
from data.datamodule import Seq2SeqDataModule
from data.parallel_text import ParallelFiles
from data.text import TextCorpus
from tests.helpers.text_files import write_corpus


def files_of(folder: Path) -> dict[str, Any]:
    return {
        split: ParallelFiles(str(folder / f"{split}.en"), str(folder / f"{split}.fr"))
        for split in ("train", "validation", "test")
    }


def module(folder: Path, **options: Any) -> Seq2SeqDataModule:
    if not (folder / "train.en").exists():
        write_corpus(folder)
    defaults: dict[str, Any] = {"task": "text", "vocabulary": 100, "byte_fallback": False, "batch_tokens": 200}
    return Seq2SeqDataModule(**{**defaults, **files_of(folder), **options})


def test_every_training_pair_is_seen_once_a_pass_as_its_own_tokens(tmp_path: Path) -> None:
    data = module(tmp_path)
    assert data.text is not None
    source, target = data.text.tokenizers
    stream = data.train_dataloader()
    seen = []
    for rows in stream.plan(0):
        batch = stream.store.batch(rows)
        assert batch.examples is not None
        for number, words, output in zip(batch.examples.tolist(), batch.source, batch.target_out, strict=True):
            seen.append(number)
            assert source.decode(words.tolist()) == data.text.text("train").source[number]
            assert target.decode(output.tolist()) == data.text.text("train").target[number]
            assert output.tolist().count(EOS) == 1
    assert sorted(seen) == list(range(120))


def test_a_joint_tokenizer_is_one_and_separate_ones_are_two(tmp_path: Path) -> None:
    joint, separate = module(tmp_path), module(tmp_path, joint_tokenizer=False)
    assert joint.text is not None and separate.text is not None
    assert joint.text.tokenizers[0] is joint.text.tokenizers[1]
    assert separate.text.tokenizers[0].model != separate.text.tokenizers[1].model
    assert separate.target_vocab_size == len(separate.text.tokenizers[1])


def test_the_tokenizer_is_trained_on_the_training_split_alone(tmp_path: Path) -> None:
    before = module(tmp_path).text
    for split in ("validation", "test"):
        (tmp_path / f"{split}.en").write_text("quite other words\n")
        (tmp_path / f"{split}.fr").write_text("tout autre chose\n")
    after = module(tmp_path).text
    assert before is not None and after is not None
    assert before.tokenizers[0].model == after.tokenizers[0].model


def test_long_training_pairs_are_left_out_by_file_and_line_but_not_from_testing(tmp_path: Path) -> None:
    whole = module(tmp_path).text
    assert whole is not None
    limit = int(whole.lengths("train").min()) + 2
    data = module(tmp_path, length=limit)
    assert data.text is not None
    for split in ("train", "validation"):
        text = data.text.text(split)
        dropped = text.problems.counts()[f"over {limit} tokens"]
        assert 0 < len(text) == len(whole.text(split)) - dropped
    assert f"{tmp_path / 'train.en'}:" in str(data.text.text("train").problems)
    assert len(data.text.text("test")) == 20
    assert data.text.lengths("test").max() > limit
    stream = data.train_dataloader()
    batches = [stream.store.batch(rows) for rows in stream.plan(0)]
    assert max(max(batch.source.shape[1], batch.target_out.shape[1] - 1) for batch in batches) == limit


def test_models_of_different_train_lengths_read_the_same_tokens(tmp_path: Path) -> None:
    short, long = module(tmp_path, length=12).text, module(tmp_path, length=50).text
    assert short is not None and long is not None
    assert short.tokenizers[0].model == long.tokenizers[0].model


def test_long_pairs_are_refused_where_that_is_asked_for(tmp_path: Path) -> None:
    data = module(tmp_path, length=12, long_lines="refuse")
    assert data.text is not None
    with pytest.raises(ValueError, match=r"data\.train: \d+ over 12 tokens \(.*train\.en:\d+.*raise --data\.length"):
        data.text.text("train")


def test_lower_case_is_what_the_model_reads_and_not_what_the_reference_is(tmp_path: Path) -> None:
    data = module(tmp_path, lowercase=True)
    assert data.text is not None
    example = data.text.examples("test")
    assert data.text.tokenizers[0].decode(example.source[0].tolist()) == data.text.text("test").source[0].lower()
    assert data.text.text("test").target[0][0].isupper()


def test_a_segment_longer_than_a_batch_is_tested_alone(tmp_path: Path) -> None:
    data = module(tmp_path, batch_tokens=15, length=15)
    [loader] = data.test_dataloader()
    rows = [len(batch.source) for batch in loader]
    assert sum(rows) == 20 and min(rows) == 1
    for batch in loader:
        assert batch.decode_limits is not None
        assert torch.equal(batch.decode_limits, 2 * batch.source_lengths + 20)
        assert ((batch.source != PAD).sum(dim=1) == batch.source_lengths).all()


def test_a_sample_of_the_test_split_is_the_same_for_every_trial_and_has_all_lengths(tmp_path: Path) -> None:
    sampled = [module(tmp_path, test_limit=6, **one) for one in ({}, {"seed": 3}, {"vocabulary": 80, "length": 20})]
    whole, enough = module(tmp_path), module(tmp_path, test_limit=20)
    first = sampled[0].text
    assert first is not None and whole.text is not None
    assert all(data.text is not None and data.text.test_rows == first.test_rows for data in sampled)
    assert first.text("test").source == [whole.text.text("test").source[row] for row in first.test_rows]
    assert len(first.examples("test").source) == len(set(first.test_rows)) == 6
    assert {row % 3 for row in first.test_rows} == {0, 1, 2}, "sentences of one, two and three clauses"
    assert sampled[0].test_name == "test, 6 of 20 sentences" == f"test, {first.report()['test']['sample']}"
    assert whole.test_name == enough.test_name == "test"


def test_what_was_read_and_left_out_is_reported(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    first = (tmp_path / "train.en").read_text().splitlines()[0], (tmp_path / "train.fr").read_text().splitlines()[0]
    for text, suffix in zip(first, ("en", "fr"), strict=True):
        with (tmp_path / f"test.{suffix}").open("a") as file:
            file.write(f"{text}\n")
    with (tmp_path / "validation.en").open("a") as file:
        file.write("\n")
    with (tmp_path / "validation.fr").open("a") as file:
        file.write("une phrase\n")
    data = module(tmp_path, bad_lines="drop")
    assert data.text is not None
    report = data.text.report()
    assert report["train"] == {"pairs": 120, "dropped": {}}
    assert report["validation"]["dropped_lines"] == {"empty": [f"{tmp_path / 'validation.en'}:21"]}
    assert report["test"]["pairs"] == 21
    assert report["test"]["also_in_train"] >= 1  # type: ignore[operator]


def test_files_count_by_content_and_not_by_place(tmp_path: Path) -> None:
    here, there = module(tmp_path / "here").text, module(tmp_path / "there").text
    assert here is not None and there is not None
    key = here.content_key()
    assert key == there.content_key()
    (tmp_path / "there" / "test.fr").write_text("autre\n" * 20)
    changed = module(tmp_path / "there").text
    assert changed is not None and changed.content_key() != key


def test_trials_that_read_the_same_read_it_once(tmp_path: Path) -> None:
    def checked(before: TextCorpus | None, **options: Any) -> TextCorpus:
        text = module(tmp_path, **options).text
        assert text is not None
        text.check(before=before)
        return text

    first = checked(None, seed=0)
    assert checked(first, seed=1).text("train") is first.text("train")
    assert checked(first, seed=1).settings.seed == 1
    assert checked(first, seed=1).tokenizers is first.tokenizers
    assert checked(first, lowercase=True).text("train") is not first.text("train")
    some = checked(None, seed=0, train_limit=50)
    assert checked(some, seed=0, train_limit=50).text("train") is some.text("train")
    assert checked(some, seed=1, train_limit=50).text("train").source != some.text("train").source
    (tmp_path / "test.fr").write_text("autre\n" * 20)
    assert checked(first).text("test").target == ["autre"] * 20
    (tmp_path / "test.fr").unlink()
    with pytest.raises(ValueError, match=r"test\.fr"):
        checked(first)


def test_generated_text_is_that_of_the_seed() -> None:
    texts = []
    for seed in (0, 1):
        data = Seq2SeqDataModule(task="numbers", train_examples=20, validation_examples=5, test_examples=5, seed=seed)
        assert data.text is not None
        data.text.check(before=texts[-1] if texts else None)
        texts.append(data.text)
    assert texts[0].text("train").source != texts[1].text("train").source


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": None}, r"data\.test: name its files, --data\.test\.source FILE"),
        ({"task": "copy", "length": 5}, r"data\.task: copy reads no corpus and no files; --data\.task text does"),
        ({"corpus": "multi30k"}, r"data\.train: data\.corpus multi30k is given too"),
        ({"eval_lengths": [5]}, r"data\.eval_lengths: text is as long as it is; data\.buckets"),
        ({"min_length": 5}, r"data\.min_length: text is as long as it is"),
        ({"test_limit": 0}, r"data\.test_limit: 0 must be at least 1, or null for no limit"),
        ({"task": "txet"}, r"data\.task: 'txet' is unknown; did you mean 'text'\?"),
        ({"buckets": [0, 10]}, r"data\.buckets: 0 must be at least 1"),
        ({"length": 1}, r"data\.length: no pair of data\.train has at most 1 tokens"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data = module(tmp_path, **options)
        assert data.text is not None
        data.text.check()


def test_a_sample_is_of_given_text() -> None:
    with pytest.raises(ValueError, match=r"data\.test_limit: numbers is generated; --data\.test_examples says"):
        Seq2SeqDataModule("numbers", test_limit=5)


@pytest.mark.parametrize("task", ["numbers", "dates"])
def test_generated_text_needs_no_files(task: str) -> None:
    data = Seq2SeqDataModule(
        task, length=4, eval_lengths=[2, 6], train_examples=300, validation_examples=20, test_examples=10
    )
    assert data.text is not None
    assert len(data.text.text("train")) == 300
    assert len(data.text.text("test")) == 30  # at each of three lengths
    together = set(data.text.text("train").source) & set(data.text.text("test").source)
    assert not together
    batch = next(iter(data.train_dataloader()))
    assert (batch.target_out == EOS).sum() == len(batch.target_out)
