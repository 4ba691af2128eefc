"""The DataModule every architecture trains and is tested on."""

import difflib
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, get_args

import lightning.pytorch as pl

from data.batch import FIRST_TOKEN
from data.batching import EvaluationBatches, ExampleStore, TrainingStream, padded
from data.language.pretraining import PRETRAINING, SentenceStore
from data.parallel_text import BadLines, ParallelFiles
from data.tasks import (
    IN_WORDS,
    SPLITS,
    TASKS,
    alphabet,
    check_parameters,
    generate,
    has_enough_sources,
    lengths_to_test,
)
from data.text import CLASSIFICATION, TextCorpus, TextSettings
from data.text_tasks import TEXT_TASKS, check_text_parameters
from data.tokenizer import Algorithm

BleuTokenizer = Literal["13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "none", "flores101", "flores200", "spm"]
CHECKPOINT = ".ckpt"  # how the name of one ends
TEXT = "text"  # the task of translating given text
EVERY_TASK = (*TASKS, *TEXT_TASKS, TEXT, *PRETRAINING, CLASSIFICATION)
DEFAULT_VOCABULARY = {"synthetic": 16, "text": 8000}
DEFAULT_LENGTH = {"synthetic": 20, "generated text": 6, "text": 100}
DEFAULT_BUCKETS = [10, 20, 30, 40, 50, 60]


class Seq2SeqDataModule(pl.LightningDataModule):
    """Sequence-to-sequence tasks: synthetic ones of known difficulty, and text.

    A synthetic task trains on sources of min_length to length tokens, and is tested at length and at each of
    eval_lengths. Text trains on pairs of at most length tokens and is
    tested on all of its test split, by source length.

    Args:
        task: on random symbols copy, reverse, sort, duplicate, odds-first, bucket-sort; first-token-recall, parity,
            even-pairs, cycle-navigation, modular-arithmetic, missing-duplicate; running-parity, bracket-depth; unroll;
            associative-recall, mqar, selective-copy, induction, suffix-lookup (docs/tasks.md). In words of a small
            grammar coreference, word-sense, negation, tagging (docs/language.md). Generated between two languages
            numbers (written out in words) and dates. Or text, from a corpus or from files. To pre-train on sentences
            without labels masked, next-token, denoise; then classification (docs/pretraining.md).
        vocabulary: number of symbols; a random source carries length x log2(vocabulary) bits. Tasks with an alphabet
            of their own do not use it. For text the number of SentencePiece pieces at most. Default 16, for text 8000.
        length: longest training source in tokens; of unroll the longest target; of tasks in words the greatest
            distance between the two words that have to meet; for text both sides; for numbers in digits, for dates in
            dates. Default 20, for numbers and dates 6, for text 100.
        min_length: shortest training source, from the shortest that the task has; None trains on sources of exactly
            `length`. For numbers and dates None is 1. Text from files has no such limit.
        eval_lengths: further source lengths to test a generated task at; `length` itself is always tested. Default
            where training has shorter sources too: several from an eighth of `length` to twice of it.
        train_examples: number of training examples of a generated task.
        train_limit: most pairs of given text that are trained on, drawn from the seed; a greater limit adds to them.
            None trains on all.
        validation_examples: number of validation examples, drawn like the training ones.
        test_examples: number of test examples at each tested length.
        test_limit: most pairs of given text that are tested: a sample over all source lengths, the same for every trial
            on that text, which reports keep apart from the whole. None tests all.
        corpus: a public corpus by name, fetched once: multi30k, wmt14, iwslt2017, opus100 and others. To pre-train on
            generated sentences a task in words, such as negation.
        train: training files: train.source and train.target, one segment a line, or tab-separated files as
            train.source alone; for classification with the first line text<TAB>label. Several files are read one
            after the other.
        validation: the same for validation.
        test: the same for testing.
        source_language: language of a corpus' or a text task's source, such as en.
        target_language: language of its target, such as de. BLEU's tokenizer follows it, or plainly Chinese, Japanese
            or Korean text.
        bleu_tokenize: the tokenizer of sacreBLEU that BLEU is counted with; None chooses it as sacreBLEU does: zh,
            ja-mecab or ko-mecab (char where their packages are missing), and 13a for all other languages.
        tokenizer: SentencePiece by unigram or bpe, trained on the training split; or a checkpoint, whose tokenizer or
            list of words is taken.
        joint_tokenizer: one vocabulary for both languages, or one for each.
        byte_fallback: write characters that no piece covers as bytes.
        lowercase: read and write lower case, and score so.
        bad_lines: refuse text with lines that are empty, not UTF-8 or hold a carriage return, or drop those pairs.
        long_lines: drop training pairs of more than `length` tokens, or refuse them.
        buckets: upper ends of the source lengths, in tokens, by which text is reported. Default 10, 20 … 60.
        batch_tokens: most positions of a batch, padding included: rows times its longest source or target.
        batch_size: most sequences of a batch; None leaves it to batch_tokens.
        pad_to_multiple: sources and targets of a training batch are padded to a multiple of so many tokens. So batches
            of text too have few shapes, which a GPU replays with --cuda_graphs.
        seed: what examples and their order are drawn from (`lengthwise fit` sets it to the trial's seed).

    Raises:
        ValueError: an option that makes no sense; the message names it.
    """

    def __init__(
        self,
        task: str = "reverse",
        vocabulary: int | None = None,
        length: int | None = None,
        min_length: int | None = None,
        eval_lengths: list[int] | None = None,
        train_examples: int = 50_000,
        train_limit: int | None = None,
        validation_examples: int = 500,
        test_examples: int = 500,
        test_limit: int | None = None,
        corpus: str | None = None,
        train: ParallelFiles | None = None,
        validation: ParallelFiles | None = None,
        test: ParallelFiles | None = None,
        source_language: str = "en",
        target_language: str = "de",
        bleu_tokenize: BleuTokenizer | None = None,
        tokenizer: str = "unigram",
        joint_tokenizer: bool = True,
        byte_fallback: bool = True,
        lowercase: bool = False,
        bad_lines: BadLines = "refuse",
        long_lines: BadLines = "drop",
        buckets: list[int] | None = None,
        batch_tokens: int = 2048,
        batch_size: int | None = None,
        pad_to_multiple: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if task not in EVERY_TASK:
            near = difflib.get_close_matches(task, EVERY_TASK, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ValueError(f"data.task: '{task}' is unknown; {hint}The tasks are {', '.join(EVERY_TASK)}")
        self.task = task
        kind = "synthetic" if task in TASKS else "generated text" if task in TEXT_TASKS else "text"
        self.is_text = kind != "synthetic"
        of_words = task in PRETRAINING and corpus in IN_WORDS  # sentences that are generated
        self.vocabulary = (
            DEFAULT_VOCABULARY["text" if self.is_text else "synthetic"] if vocabulary is None else vocabulary
        )
        self.length = DEFAULT_LENGTH["synthetic" if of_words else kind] if length is None else length
        least = TASKS[str(corpus)].least_length if of_words else self.length if kind == "synthetic" else 1
        self.min_length = least if min_length is None else min_length
        self.train_examples = train_examples
        self.validation_examples = validation_examples
        self.test_examples = test_examples
        self.batch_tokens = batch_tokens
        self.batch_size = batch_size
        self.pad_to_multiple = pad_to_multiple
        self.seed = seed
        if kind == "text" and self.length < 1:
            raise ValueError(f"data.length: {self.length} must be at least 1")
        for name in ("train_examples", "validation_examples", "test_examples", "batch_tokens", "pad_to_multiple"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.{name}: {getattr(self, name)} must be at least 1")
        for name, limit in (("batch_size", batch_size), ("train_limit", train_limit), ("test_limit", test_limit)):
            if limit is not None and limit < 1:
                raise ValueError(f"data.{name}: {limit} must be at least 1, or null for no limit")
        for split, limit in (("train", train_limit), ("test", test_limit)):
            if limit is not None and (kind != "text" or of_words):
                examples = f"--data.{split}_examples says how many are {split}ed"
                raise ValueError(f"data.{split}_limit: {corpus or task} is generated; {examples}")
        if tokenizer not in get_args(Algorithm) and not tokenizer.endswith(CHECKPOINT):
            known = " nor ".join(get_args(Algorithm))
            raise ValueError(f"data.tokenizer: '{tokenizer}' is neither {known} nor a checkpoint, FILE{CHECKPOINT}")
        if not 0 <= seed < 2**63:
            raise ValueError(f"data.seed: {seed} must be between 0 and 2^63 - 1")
        self.eval_lengths: list[int] = sorted({self.length, *(eval_lengths or [])})
        self.buckets = DEFAULT_BUCKETS if buckets is None else sorted(set(buckets))
        self.lowercase = lowercase
        self.bleu_tokenize = bleu_tokenize
        self.source_language, self.target_language = source_language, target_language
        files = {"train": train, "validation": validation, "test": test}
        if kind == "synthetic":
            self.vocabulary = alphabet(task, self.vocabulary)
            if self.min_length > 0:  # a range begins where the task does
                self.min_length = max(self.min_length, min(TASKS[task].least_length, self.length))
            check_parameters(task, self.vocabulary, self.min_length, self.length)
            if eval_lengths is None:
                self.eval_lengths = lengths_to_test(task, self.vocabulary, self.min_length, self.length)
            self._check_synthetic()
        elif kind == "generated text":
            _check_generated_text(task, source_language, target_language, self.min_length, self.eval_lengths)
        else:
            if corpus is not None and (task == CLASSIFICATION or corpus in IN_WORDS) and not of_words:
                raise ValueError(
                    f"data.corpus: {task} cannot be made of {corpus}; name files, --data.train.source FILE"
                )
            _check_sources(corpus, files, eval_lengths, None if of_words else min_length)
        if of_words:
            check_parameters(str(corpus), 0, self.min_length, self.length)
        if kind != "text" and (corpus or any(files.values())):
            raise ValueError(f"data.task: {task} reads no corpus and no files; --data.task {TEXT} does")
        if pad_to_multiple > 1 and task in PRETRAINING:
            raise ValueError(f"data.pad_to_multiple: batches of {task} have widths of their own; leave the option out")
        if self.buckets[:1] and self.buckets[0] < 1:
            raise ValueError(f"data.buckets: {self.buckets[0]} must be at least 1")
        self.text: TextCorpus | None = None
        if self.is_text:
            counts = {"train": train_examples, "validation": validation_examples, "test": test_examples}
            self.text = TextCorpus(
                TextSettings(
                    task=task,
                    corpus=corpus,
                    files=files,
                    source_language=source_language,
                    target_language=target_language,
                    lowercase=lowercase,
                    bad_lines=bad_lines,
                    long_lines=long_lines,
                    tokenizer=tokenizer,
                    vocabulary=self.vocabulary,
                    joint_tokenizer=joint_tokenizer,
                    byte_fallback=byte_fallback,
                    min_length=self.min_length,
                    length=self.length,
                    eval_lengths=self.eval_lengths,
                    counts=counts,
                    seed=seed,
                    test_limit=test_limit,
                    train_limit=train_limit,
                )
            )

    @property
    def source_vocab_size(self) -> int:
        """Number of token ids on the source side, reserved ones included."""
        return self.vocabulary + FIRST_TOKEN if self.text is None else len(self.text.tokenizers[0])

    @property
    def target_vocab_size(self) -> int:
        """Number of token ids on the target side, reserved ones included."""
        return self.vocabulary + FIRST_TOKEN if self.text is None else len(self.text.tokenizers[1])

    @property
    def name(self) -> str:
        """What the task is called in tables: the corpus where one is translated."""
        corpus = self.text.settings.corpus if self.text is not None and self.is_translated else None
        return corpus or self.task

    @property
    def is_translated(self) -> bool:
        """Whether outputs are text that is decoded and scored as such."""
        return self.task == TEXT or self.task in TEXT_TASKS

    @property
    def outputs(self) -> str:
        """How many tokens a target has: as many as its source (each), one, or some other number."""
        if self.task == CLASSIFICATION:
            return "one"
        known = PRETRAINING if self.task in PRETRAINING else TASKS
        return known[self.task].outputs if self.task in known else "other"

    @property
    def test_name(self) -> str:
        """What is tested on: the corpus, or the names of its source files; of a sample its size too, by which reports
        keep its scores apart from those of the whole."""
        if self.text is None:
            return self.name
        files = self.text.settings.files["test"]
        name = self.name if files is None else "+".join(source.stem for source, _ in files.pairs("data.test"))
        return ", ".join(filter(None, [name, self.text.test_sample]))

    def padded(self, tokens: int) -> int:
        """The positions that a sequence of so many tokens takes in training."""
        return padded(tokens, self.pad_to_multiple)

    @property
    def trained_on(self) -> int:
        """Number of training examples, what was left out for its length not among them."""
        return len(self._train)

    def train_dataloader(self) -> TrainingStream:
        accumulated = 1 if self.trainer is None else self.trainer.accumulate_grad_batches
        return TrainingStream(self._train, self.batch_tokens, self.batch_size, self.seed, *self._ranks, accumulated)

    def val_dataloader(self) -> EvaluationBatches:
        return self._evaluation(self._validation)

    def test_dataloader(self) -> list[EvaluationBatches]:
        """One loader for each of eval_lengths, in that order; for text one for the whole test split."""
        if self.text is not None:
            return [self._evaluation(self._of_text("test"))]
        stores = (self._synthetic("test", self.test_examples, length, length) for length in self.eval_lengths)
        return [self._evaluation(store) for store in stores]

    def predict_dataloader(self) -> list[EvaluationBatches]:
        """The same examples as for testing."""
        return self.test_dataloader()

    @cached_property
    def _train(self) -> ExampleStore:
        if self.text is not None:
            return self._of_text("train", self.pad_to_multiple)
        return self._synthetic("train", self.train_examples, self.min_length, self.length, self.pad_to_multiple)

    @cached_property
    def _validation(self) -> ExampleStore:
        if self.text is not None:
            return self._of_text("validation")
        return self._synthetic("validation", self.validation_examples, self.min_length, self.length)

    def _of_text(self, split: str, multiple: int = 1) -> ExampleStore:
        assert self.text is not None
        examples = self.text.examples(split)
        if self.task in PRETRAINING:
            return SentenceStore(examples, self.task, self.source_vocab_size, self.seed, split)
        return ExampleStore(examples, known_length=self.task == CLASSIFICATION, multiple=multiple)

    def _synthetic(self, split: str, count: int, min_length: int, max_length: int, multiple: int = 1) -> ExampleStore:
        examples = generate(self.task, self.vocabulary, min_length, max_length, count, self.seed, split)
        answers = [FIRST_TOKEN + symbol for symbol in TASKS[self.task].answers]
        return ExampleStore(examples, answers=answers, multiple=multiple)

    def _evaluation(self, store: ExampleStore) -> EvaluationBatches:
        """Test segments are never left out: one longer than a whole batch makes a batch of its own."""
        batch_tokens = max(self.batch_tokens, int(store.lengths.max()))
        return EvaluationBatches(store, batch_tokens, self.batch_size, *self._ranks)

    @property
    def _ranks(self) -> tuple[int, int]:
        """This process and how many there are; one where no trainer is attached."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def chance(self, length: int) -> float:
        """Accuracy of the best guess at a length of a synthetic task that knows the position, but not the source. Of
        labels, and of tokens of sentences, it is the share of the most frequent."""
        if self.text is not None:
            return self.text.chance()
        return TASKS[self.task].chance(self.vocabulary, length)

    def _check_synthetic(self) -> None:
        self._check_sources_of(SPLITS, self.min_length, self.length)
        for length in self.eval_lengths:
            try:
                check_parameters(self.task, self.vocabulary, length, length)
                self._check_sources_of(["test"], length, length)
            except ValueError as error:
                raise ValueError(str(error).replace("data.length", "data.eval_lengths")) from None
        known = TASKS[self.task]
        longest, trained = (
            max(length, known.longest_source(length), known.longest_target(length)) + 1
            for length in (self.eval_lengths[-1], self.length)
        )
        if self.batch_tokens < longest:
            raise ValueError(
                f"data.batch_tokens: {self.batch_tokens} cannot hold a sequence of {longest} tokens (EOS included)"
            )
        if self.batch_tokens < (wide := self.padded(trained)):
            raise ValueError(
                f"data.batch_tokens: {self.batch_tokens} cannot hold a sequence of {wide} tokens, which "
                f"data.pad_to_multiple {self.pad_to_multiple} makes of the longest; raise one or lower the other"
            )

    def _check_sources_of(self, splits: Iterable[str], min_length: int, max_length: int) -> None:
        """Where sources are few, a split may be left with none."""
        if not has_enough_sources(self.task, self.vocabulary, max_length):
            for split in splits:
                generate(self.task, self.vocabulary, min_length, max_length, 1, 0, split)


def _check_generated_text(task: str, source: str, target: str, min_length: int, eval_lengths: list[int]) -> None:
    check_text_parameters(task, source, target, min_length, eval_lengths[-1])


def _check_sources(
    corpus: str | None,
    files: dict[str, ParallelFiles | None],
    eval_lengths: list[int] | None,
    min_length: int | None,
) -> None:
    """Text comes from a corpus or from files, and its lengths are what they are."""
    with_files = [split for split, paths in files.items() if paths is not None]
    if corpus is not None and with_files:
        raise ValueError(f"data.{with_files[0]}: data.corpus {corpus} is given too; leave one of them out")
    if eval_lengths:
        raise ValueError("data.eval_lengths: text is as long as it is; data.buckets says how to report it")
    if min_length is not None:
        raise ValueError("data.min_length: text is as long as it is; data.length alone limits it")
