"""Classification of one's own texts: the file, its labels, and what is wrong with either."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data.batch import EOS, FIRST_TOKEN
from data.datamodule import Seq2SeqDataModule
from data.language.word_tokenizer import WordTokenizer, read_tokenizer
from data.parallel_text import ParallelFiles
from data.tasks import SPLITS

GOOD = [
    f"she was {word} today and the {number} others were too\tin a good mood" for number, word in enumerate("abcdef")
]
BAD = [f"he was {word} today and the {number} others were not\tbad" for number, word in enumerate("uvw")]


def write(path: Path, lines: list[str], header: str = "text\tlabel") -> str:
    path.write_text("".join(f"{line}\n" for line in [header, *lines]), encoding="utf-8")
    return str(path)


def module(folder: Path, train: list[str] | None = None, test: list[str] | None = None, **options: Any):
    paths = {
        "train": write(folder / "train.tsv", GOOD + BAD if train is None else train),
        "validation": write(folder / "validation.tsv", GOOD + BAD),
        "test": write(folder / "test.tsv", GOOD + BAD if test is None else test),
    }
    files = {split: ParallelFiles(paths[split]) for split in SPLITS}
    return Seq2SeqDataModule("classification", vocabulary=60, byte_fallback=False, **{**files, **options})


def test_a_label_is_one_token_whatever_it_is_made_of_and_chance_is_the_largest_class(tmp_path: Path) -> None:
    data = module(tmp_path)
    assert data.outputs == "one" and data.target_vocab_size == FIRST_TOKEN + 2
    [loader] = data.test_dataloader()
    targets = torch.cat([batch.target_out for batch in loader])
    assert targets[:, 1].tolist() == [EOS] * 9 and targets.shape == (9, 2)
    assert data.text is not None
    labels = data.text.tokenizers[1]
    assert sorted(labels.decode(row) for row in targets.tolist()) == ["bad"] * 3 + ["in a good mood"] * 6
    assert data.chance(100) == pytest.approx(6 / 9)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([*GOOD, "a text without one"], r"1 with 1 instead of 2 tab-separated fields \(\S*train\.tsv:8\)"),
        ([*GOOD, "\tbad"], r"1 empty \(\S*train\.tsv:8\)"),
        ([*GOOD, "a text\t "], r"1 empty \(\S*train\.tsv:8\)"),
        (GOOD, r"\S*train\.tsv: every label is 'in a good mood'; a classification needs two classes at least"),
        ([], "no pair of segments is left"),
    ],
)
def test_a_bad_file_is_refused_in_a_line_that_names_it(train: list[str], message: str, tmp_path: Path) -> None:
    data = module(tmp_path, train)
    assert data.text is not None
    with pytest.raises(ValueError, match=rf"^data\.train: .*{message}") as caught:
        data.text.check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("header", ["a text\tbad", "text\tlabel\tmore", "label\ttext"])
def test_a_file_without_its_header_is_refused(header: str, tmp_path: Path) -> None:
    path = write(tmp_path / "my.tsv", GOOD, header)
    data = Seq2SeqDataModule("classification", **dict.fromkeys(SPLITS, ParallelFiles(path)))
    assert data.text is not None
    with pytest.raises(
        ValueError, match=r"^data\.train: \S*my\.tsv:1: the first line must be text<TAB>label, and is '"
    ):
        data.text.check()


def test_a_label_that_training_has_not_is_refused_by_file_and_line(tmp_path: Path) -> None:
    data = module(tmp_path, test=[*GOOD, "a text\tneutral"])
    assert data.text is not None
    with pytest.raises(ValueError, match=r"^data\.test: \S*test\.tsv:8: no training text has the label 'neutral'$"):
        data.text.check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corpus": "multi30k", **dict.fromkeys(SPLITS)}, "data.corpus: classification cannot be made of multi30k"),
        ({"test_limit": 0}, "data.test_limit: 0 must be at least 1"),
        ({"train_limit": 0}, "data.train_limit: 0 must be at least 1"),
        ({"tokenizer": "wordpiece"}, "data.tokenizer: 'wordpiece' is neither unigram nor bpe nor a checkpoint"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        module(tmp_path, **options)


@pytest.mark.parametrize(
    ("task", "reads"), [("classification", "tab-separated text and label"), ("masked", "sentences")]
)
def test_a_target_file_is_not_read_beside_them(task: str, reads: str, tmp_path: Path) -> None:
    path = write(tmp_path / "my.tsv", GOOD)
    data = Seq2SeqDataModule(task, **dict.fromkeys(SPLITS, ParallelFiles(path, path)))
    assert data.text is not None
    with pytest.raises(ValueError, match=rf"^data\.train\.target: the task reads {reads}"):
        data.text.check()


def test_fewer_training_texts_are_some_of_more_by_the_seed_and_know_the_same_words(tmp_path: Path) -> None:
    def trained_on(**options: Any) -> list[str]:
        text = module(tmp_path, **options).text
        assert text is not None
        return text.text("train").source

    few, more, others = trained_on(train_limit=3), trained_on(train_limit=6), trained_on(train_limit=6, seed=1)
    assert len(few) == 3 and len(more) == 6 and set(few) < set(more) and set(others) != set(more)
    assert len(trained_on(train_limit=100)) == 9
    assert module(tmp_path, train_limit=3).source_vocab_size == module(tmp_path).source_vocab_size


def test_lists_of_words_and_labels_are_read_back_from_their_bytes(tmp_path: Path) -> None:
    text = module(tmp_path).text
    assert text is not None
    for tokenizer in (*text.tokenizers, WordTokenizer(("not", "win", "."))):
        again = read_tokenizer(tokenizer.model)
        assert type(again) is type(tokenizer) and again.model == tokenizer.model and len(again) == len(tokenizer)
