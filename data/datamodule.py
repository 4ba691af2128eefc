"""The DataModule every architecture trains and is tested on."""

from functools import cached_property

import lightning.pytorch as pl

from data.batch import FIRST_TOKEN
from data.batching import EvaluationBatches, ExampleStore, TrainingStream
from data.tasks import SPLITS, check_parameters, generate


class Seq2SeqDataModule(pl.LightningDataModule):
    """Synthetic sequence-to-sequence tasks with known difficulty.

    Train length and evaluated lengths are separate: the model trains on sources of min_length to length tokens and
    is tested at length and at each of eval_lengths. Splits never share an example.

    Args:
        task: copy, reverse, sort, first-token-recall or associative-recall.
        vocabulary: number of symbols; a random source carries length x log2(vocabulary) bits.
        length: longest training source, in tokens.
        min_length: shortest training source; None trains on sources of exactly `length`.
        eval_lengths: further source lengths to test at; `length` itself is always tested.
        train_examples: number of training examples.
        validation_examples: number of validation examples, drawn like the training ones.
        test_examples: number of test examples at each tested length.
        batch_tokens: most positions of a batch, padding included: rows times its longest source or target.
        batch_size: most sequences of a batch; None leaves it to batch_tokens.
        seed: what examples and their order are drawn from (`lengthwise fit` sets it to the trial's seed).

    Raises:
        ValueError: an option that makes no sense; the message names it.
    """

    def __init__(
        self,
        task: str = "reverse",
        vocabulary: int = 16,
        length: int = 20,
        min_length: int | None = None,
        eval_lengths: list[int] | None = None,
        train_examples: int = 50_000,
        validation_examples: int = 500,
        test_examples: int = 500,
        batch_tokens: int = 2048,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.task = task
        self.vocabulary = vocabulary
        self.length = length
        self.min_length = length if min_length is None else min_length
        self.train_examples = train_examples
        self.validation_examples = validation_examples
        self.test_examples = test_examples
        self.batch_tokens = batch_tokens
        self.batch_size = batch_size
        self.seed = seed
        check_parameters(task, vocabulary, self.min_length, length)
        for eval_length in eval_lengths or []:
            try:
                check_parameters(task, vocabulary, eval_length, eval_length)
            except ValueError as error:
                raise ValueError(str(error).replace("data.length", "data.eval_lengths", 1)) from None
        self.eval_lengths: list[int] = sorted({length, *(eval_lengths or [])})
        for name in ("train_examples", "validation_examples", "test_examples", "batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.{name}: {getattr(self, name)} must be at least 1")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"data.batch_size: {batch_size} must be at least 1, or null for no limit")
        longest = self.eval_lengths[-1] + 1
        if batch_tokens < longest:
            raise ValueError(
                f"data.batch_tokens: {batch_tokens} cannot hold a sequence of {longest} tokens (EOS included)"
            )
        if vocabulary**length < 4096:  # so few sources that a split may be left with none
            for split in SPLITS:
                generate(task, vocabulary, self.min_length, length, 1, 0, split)
        if not 0 <= seed < 2**63:
            raise ValueError(f"data.seed: {seed} must be between 0 and 2^63 - 1")

    @property
    def source_vocab_size(self) -> int:
        """Number of token ids on the source side, reserved ones included."""
        return self.vocabulary + FIRST_TOKEN

    @property
    def target_vocab_size(self) -> int:
        """Number of token ids on the target side, reserved ones included."""
        return self.vocabulary + FIRST_TOKEN

    def train_dataloader(self) -> TrainingStream:
        return TrainingStream(self._train, self.batch_tokens, self.batch_size, self.seed, *self._ranks)

    def val_dataloader(self) -> EvaluationBatches:
        return EvaluationBatches(self._validation, self.batch_tokens, self.batch_size, *self._ranks)

    def test_dataloader(self) -> list[EvaluationBatches]:
        """One loader for each of eval_lengths, in that order."""
        return [
            EvaluationBatches(
                self._store("test", self.test_examples, length, length),
                self.batch_tokens,
                self.batch_size,
                *self._ranks,
            )
            for length in self.eval_lengths
        ]

    def predict_dataloader(self) -> list[EvaluationBatches]:
        """The same examples as for testing."""
        return self.test_dataloader()

    @cached_property
    def _train(self) -> ExampleStore:
        return self._store("train", self.train_examples, self.min_length, self.length)

    @cached_property
    def _validation(self) -> ExampleStore:
        return self._store("validation", self.validation_examples, self.min_length, self.length)

    def _store(self, split: str, count: int, min_length: int, max_length: int) -> ExampleStore:
        return ExampleStore(generate(self.task, self.vocabulary, min_length, max_length, count, self.seed, split))

    @property
    def _ranks(self) -> tuple[int, int]:
        """This process and how many there are; one where no trainer is attached."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size
