"""Text as a task: pairs of segments from files, a named corpus or a generator, as token ids.

Lengths are in tokens of the source tokenizer, without EOS.
"""

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch

from data.batch import PAD, UNK
from data.batching import random_order
from data.corpora import CorpusFiles, load_corpus
from data.downloads import DownloadError, cache_folder
from data.language.pretraining import PRETRAINING
from data.language.word_tokenizer import Labels, WordTokenizer, carried_tokenizers
from data.parallel_text import BadLines, Form, ParallelFiles, ParallelText, Problems, read_parallel
from data.tasks import IN_WORDS, SPLITS, TASKS, Examples, generate
from data.text_tasks import TEXT_TASKS, generate_text
from data.tokenizer import NORMALISATION, Algorithm, Tokenizer, cached_tokenizer, train_tokenizer

CLASSIFICATION = "classification"  # the task of naming the class of a text
KEY = "lengthwise"  # where in a checkpoint stands what its tokens mean


@dataclass(frozen=True)
class TextSettings:
    """Everything that decides what text a trial reads. See `Seq2SeqDataModule` for the options."""

    task: str
    corpus: str | None
    files: dict[str, ParallelFiles | None]  # by split
    source_language: str
    target_language: str
    lowercase: bool
    bad_lines: BadLines
    long_lines: BadLines
    tokenizer: str  # an algorithm, or a checkpoint whose tokenizer is taken
    vocabulary: int
    joint_tokenizer: bool
    byte_fallback: bool
    min_length: int
    length: int
    eval_lengths: list[int]  # of a generated task
    counts: dict[str, int]  # examples a split of a generated task; for the test split at each length
    seed: int
    test_limit: int | None = None  # most pairs of the test split that are read
    train_limit: int | None = None  # most pairs of the training split that are trained on


class TextCorpus:
    """The pairs of all splits and the tokenizers trained on the first of them.

    Training and validation pairs are those whose source and target have at most `length` tokens; test pairs are
    never left out for their length. Where there are more than `test_limit` of them, a sample is tested.
    """

    def __init__(self, settings: TextSettings) -> None:
        self.settings = settings
        self.key: str | None = None  # of what was checked, see content_key
        self._texts: dict[str, ParallelText] = {}

    def text(self, split: str) -> ParallelText:
        """The pairs of a split.

        Raises:
            ValueError: files cannot be used as they are; one line that names option, file and line.
        """
        if split not in self._texts:
            if split == "test":
                self._texts[split] = self._whole_test.keep(self.test_rows)
            else:
                self._texts[split] = self._limit_length(self._read(split), split)
            if split == "train" and self.settings.train_limit is not None:
                order = random_order(len(self._texts[split]), self.settings.seed, 2**64 - 1)
                self._texts[split] = self._texts[split].keep(sorted(order[: self.settings.train_limit].tolist()))
        return self._texts[split]

    @cached_property
    def test_rows(self) -> list[int]:
        """Which pairs of the test split are tested: all, or a sample, the same for every trial on this text."""
        total, limit = len(self._whole_test), self.settings.test_limit
        if limit is None or limit >= total:
            return list(range(total))
        return sample_over_lengths(np.array([len(text) for text in self._whole_test.source]), limit)

    @property
    def test_sample(self) -> str:
        """`500 of 3,436 sentences` where a sample is tested, otherwise empty."""
        count, total = len(self.test_rows), len(self._whole_test)
        return f"{count:,} of {total:,} sentences" if count < total else ""

    def check(self, splits: Sequence[str] = SPLITS, before: "TextCorpus | None" = None) -> None:
        """Read splits; that their files are there is looked at before any of them is read.

        Args:
            splits: to read.
            before: what was read before; taken from there where it would be the same, as for the trials of a sweep.

        Raises:
            ValueError: see `text`, or the tokenizer cannot be trained.
        """
        if self.settings.tokenizer not in get_args(Algorithm) and "tokenizers" not in vars(self):
            tokenizers_of_checkpoint(self.settings.tokenizer)
        for split in splits:
            if not self.generated:
                self._files(split).pairs(f"data.{split}")
        self.key = self.content_key() if splits == SPLITS else None
        if before is not None and self._reads_as(before):
            vars(self).update({name: value for name, value in vars(before).items() if name != "settings"})
        for split in splits:
            self.text(split)

    def _reads_as(self, other: "TextCorpus") -> bool:
        """Whether both read the same pairs and tokens, by their settings and the content of their files."""
        drawn = self.generated or self.settings.train_limit is not None  # from the seed
        ours = self.settings if drawn else replace(self.settings, seed=other.settings.seed)
        return ours == other.settings and self.key is not None and self.key == other.key

    @cached_property
    def tokenizers(self) -> tuple[Tokenizer, Tokenizer]:
        """Source and target tokenizer, the same one twice where they are joint.

        Trained on the whole training split, before long pairs are left out: models trained on sentences of
        different lengths then read the same tokens. Those of a trained model may be put in their place.
        """
        if self.generated and self._unlabelled:
            words = WordTokenizer(TASKS[str(self.settings.corpus)].words)
            return words, words
        if self._unlabelled:
            joint = self._tokenizer_of_source()
            return joint, joint
        if self.settings.task == CLASSIFICATION:
            classes = Labels(tuple(sorted(set(self._normalised(self._whole_train.target)))))
            return self._tokenizer_of_source(), classes
        if self.settings.tokenizer not in get_args(Algorithm):
            return tokenizers_of_checkpoint(self.settings.tokenizer)
        text = self._whole_train
        if self.settings.joint_tokenizer:
            joint = self._tokenizer([*self._normalised(text.source), *self._normalised(text.target)])
            return joint, joint
        return self._tokenizer(self._normalised(text.source)), self._tokenizer(self._normalised(text.target))

    def examples(self, split: str) -> Examples:
        """The pairs of a split as token ids."""
        text = self.text(split)
        source, source_lengths = _padded(self._encode(text.source, 0))
        target, target_lengths = _padded(self._encode(text.target, 1))
        return Examples(source, source_lengths, target, target_lengths, alignment=None, target_bits=None)

    def lengths(self, split: str) -> np.ndarray:
        """(N,) source tokens of each pair of a split."""
        return np.array([len(row) for row in self._encode(self.text(split).source, 0)])

    def report(self) -> dict[str, dict[str, object]]:
        """What each split holds and what was left out of it: pairs, and dropped lines by kind, with their places."""
        parts: dict[str, dict[str, object]] = {}
        for split in SPLITS:
            text = self.text(split)
            parts[split] = {"pairs": len(text), "dropped": text.problems.counts()}
            if text.problems.places:
                parts[split]["dropped_lines"] = text.problems.places
        seen = set(zip(self._whole_train.source, self._whole_train.target, strict=True))
        test = self.text("test")
        if self.test_sample:
            parts["test"]["sample"] = self.test_sample
        parts["test"]["also_in_train"] = sum(pair in seen for pair in zip(test.source, test.target, strict=True))
        return parts

    def content_key(self) -> str:
        """A hash of the text as it is read: files that changed make another trial, files that moved do not."""
        content = hashlib.sha256(NORMALISATION.encode())
        if self.generated:  # the options say the rest
            return NORMALISATION
        for split in SPLITS:
            for files in self._files(split).pairs(f"data.{split}"):
                for path in files:
                    content.update(b"" if path is None else hashlib.sha256(path.read_bytes()).digest())
        return content.hexdigest()[:16]

    @property
    def generated(self) -> bool:
        """Whether the text is made here rather than read from files."""
        return self.settings.task in TEXT_TASKS or self.settings.corpus in IN_WORDS

    def chance(self) -> float:
        """The share of the most frequent token among those of the test split's targets: what the best guess gets that
        has not seen the source."""
        counts = np.bincount(self.examples("test").target.flatten())
        counts[PAD] = 0
        return float(counts.max() / counts.sum())

    # ------------------------------------------------------------------ inside

    @cached_property
    def _whole_train(self) -> ParallelText:
        return self._read("train")

    @cached_property
    def _whole_test(self) -> ParallelText:
        return self._read("test")

    def _read(self, split: str) -> ParallelText:
        settings = self.settings
        if split == "train" and "_whole_train" in self.__dict__:
            return self._whole_train
        if self.generated and self._unlabelled:
            sentences = self._sentences(split)
            return ParallelText(sentences, sentences, _places(split, sentences), Problems())
        if self.generated:
            spans = [(settings.min_length, settings.length)]
            if split == "test":
                spans = [(length, length) for length in settings.eval_lengths]
            parts = [self._generate(split, *span) for span in spans]
            source, target = ([text for part in parts for text in part[side]] for side in (0, 1))
            return ParallelText(source, target, _places(split, source), Problems())
        form: Form = "labels" if settings.task == CLASSIFICATION else "pairs"
        if self._unlabelled:
            form = "pairs" if settings.corpus else "sentences"
        text = read_parallel(self._files(split), f"data.{split}", settings.bad_lines, form)
        if form == "labels":
            self._check_labels(text, split)
        return ParallelText(text.source, text.source, text.places, text.problems) if self._unlabelled else text

    @property
    def _unlabelled(self) -> bool:
        return self.settings.task in PRETRAINING

    def _sentences(self, split: str) -> list[str]:
        """What a task in words generates, as text."""
        settings, corpus = self.settings, str(self.settings.corpus)
        count, words = settings.counts[split], WordTokenizer(TASKS[corpus].words)
        drawn = generate(corpus, 0, settings.min_length, settings.length, count, settings.seed, split)
        return [words.decode(row) for row in drawn.source.tolist()]

    def _check_labels(self, text: ParallelText, split: str) -> None:
        """Refuse training data of one class, and other data with a class that training has not."""
        labels = self._normalised(text.target)
        if split == "train":
            if len(set(labels)) < 2:
                where = f"data.train: {text.places[0].rpartition(':')[0]}"
                raise ValueError(f"{where}: every label is '{labels[0]}'; a classification needs two classes at least")
            return
        for label, [token], place in zip(labels, self.tokenizers[1].encode(labels), text.places, strict=True):
            if token == UNK:
                raise ValueError(f"data.{split}: {place}: no training text has the label '{label}'")

    def _generate(self, split: str, least: int, most: int) -> tuple[list[str], list[str]]:
        settings = self.settings
        languages = (settings.source_language, settings.target_language)
        return generate_text(settings.task, *languages, least, most, settings.counts[split], settings.seed, split)

    def _files(self, split: str) -> ParallelFiles:
        if self.settings.corpus is None:
            files = self.settings.files[split]
            if files is None:
                raise ValueError(
                    f"data.{split}: name its files, --data.{split}.source FILE"
                    + (
                        f" --data.{split}.target FILE"
                        if self.settings.task not in (CLASSIFICATION, *PRETRAINING)
                        else ""
                    )
                    + ("" if self.settings.task == CLASSIFICATION else ", or a corpus, --data.corpus multi30k")
                )
            return files
        source, target = getattr(self._corpus, split)
        return ParallelFiles(str(source), str(target))

    @cached_property
    def _corpus(self) -> CorpusFiles:
        settings = self.settings
        assert settings.corpus is not None
        return load_corpus(settings.corpus, settings.source_language, settings.target_language, cache_folder())

    def _limit_length(self, text: ParallelText, split: str) -> ParallelText:
        """Leave out pairs longer than the limit, or refuse them, and note each."""
        if self.generated:  # whose length is that of the task
            return text
        limit = self.settings.length
        lengths = zip(self._encode(text.source, 0), self._encode(text.target, 1), strict=True)
        kept, problems = [], Problems(dict(text.problems.places))
        for row, (source, target) in enumerate(lengths):
            if max(len(source), len(target)) <= limit:
                kept.append(row)
            else:
                problems.add(f"over {limit} tokens", text.places[row])
        if len(kept) < len(text) and self.settings.long_lines == "refuse":
            raise ValueError(
                f"data.{split}: {problems}; raise --data.length, or let --data.long_lines drop leave them out"
            )
        if not kept:
            raise ValueError(f"data.length: no pair of data.{split} has at most {limit} tokens on both sides")
        limited = text.keep(kept)
        return ParallelText(limited.source, limited.target, limited.places, problems)

    def _encode(self, texts: Sequence[str], side: int) -> list[list[int]]:
        rows = self.tokenizers[side].encode(self._normalised(texts))
        return [row or [UNK] for row in rows]  # characters that are not printed leave no piece

    def _normalised(self, texts: Sequence[str]) -> Sequence[str]:
        return [text.lower() for text in texts] if self.settings.lowercase else texts

    def _tokenizer_of_source(self) -> Tokenizer:
        if self.settings.tokenizer not in get_args(Algorithm):
            return tokenizers_of_checkpoint(self.settings.tokenizer)[0]
        return self._tokenizer(self._normalised(self._whole_train.source))

    def _tokenizer(self, texts: Sequence[str]) -> Tokenizer:
        settings = self.settings
        options = cast(Algorithm, settings.tokenizer), settings.vocabulary, settings.byte_fallback
        try:
            folder = cache_folder() / "tokenizers"
        except DownloadError:  # a cache only saves time
            return train_tokenizer(texts, *options)
        return cached_tokenizer(texts, *options, folder)


def tokenizers_of_checkpoint(path: str) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of source and target that a checkpoint carries, or the words of its task.

    Raises:
        ValueError: it is no checkpoint, or one of a task whose symbols stand for nothing.
    """
    if not Path(path).is_file():
        raise ValueError(f"data.tokenizer: {path} does not exist")
    try:
        settings: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)[KEY]
        carried, task = settings["text"], str(settings["task"])
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError):
        raise ValueError(
            f"data.tokenizer: {path} is neither {' nor '.join(get_args(Algorithm))} nor a checkpoint that can be read"
        ) from None
    if carried is not None:
        return carried_tokenizers(carried)
    if task not in IN_WORDS:
        raise ValueError(f"data.tokenizer: {path} was trained on {task}, whose symbols are no text")
    words = WordTokenizer(TASKS[task].words)
    return words, words


def _places(split: str, texts: Sequence[str]) -> list[str]:
    return [f"{split}:{number}" for number in range(1, len(texts) + 1)]


def sample_over_lengths(lengths: np.ndarray, count: int) -> list[int]:
    """A sample that is the same everywhere: in order of length, one of each of `count` parts of equal size, by lot.

    Args:
        lengths: (N,), at least `count` of them.
        count: how many are wanted.

    Returns:
        Their rows, ascending.
    """
    order = np.argsort(lengths, kind="stable")
    edges = np.arange(count + 1) * len(order) // count
    lots = np.random.Philox(key=np.zeros(2, dtype=np.uint64)).random_raw(count)
    return sorted(order[edges[:-1] + (lots % np.diff(edges).astype(np.uint64)).astype(np.int64)].tolist())


def _padded(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(N, longest) ids with PAD behind the end, and (N,) lengths."""
    lengths = np.array([len(row) for row in rows])
    padded = np.full((len(rows), lengths.max()), PAD, dtype=np.int64)
    inside = np.arange(padded.shape[1])[None, :] < lengths[:, None]
    padded[inside] = np.fromiter((token for row in rows for token in row), dtype=np.int64, count=lengths.sum())
    return padded, lengths
