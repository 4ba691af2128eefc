"""What every architecture keeps: how it encodes, decodes and steps, and what it says of itself.

Shapes: B sequences, S source positions, T target positions (EOS included), V target vocabulary, M memory size.
"""

import inspect
from abc import ABCMeta, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from data.batch import Batch, OnHost


class Memory(NamedTuple):
    """What an encoder hands over. Every tensor has the batch first.

    Attributes:
        states: (B, S, M) a vector for each source position, in source order.
        lengths: (B,) source lengths.
        blocked: (B, S) true at padding; None where no row is padded.
        final: the encoder's final state, a tuple of (B, layers, M), or whatever state its layers have; empty where
            there is none.
        cache: what else the architecture's own decoder reads, such as keys and values of its layers: any nesting of
            tuples.
    """

    states: Tensor
    lengths: Tensor
    blocked: Tensor | None
    final: tuple[Tensor, ...] = ()
    cache: tuple[Any, ...] = ()


class Output(NamedTuple):
    """Result of a teacher-forced pass.

    Attributes:
        logits: (B, T, V) unnormalised log-probabilities of each target token.
        attention: (B, T, S) weight of each source position, zero at padding; None without attention.
    """

    logits: Tensor
    attention: Tensor | None


class SelfAttention(NamedTuple):
    """The self-attention of one stack of layers, each position of which looks at positions of the same stack.

    Attributes:
        stack: encoder or decoder; self where one stack is both.
        reads: what stands at its positions, one behind the other: the source, an end (EOS), the target (behind BOS).
        causal: whether a position looks at itself and those before it alone.
        layers: (B, N, W, W) weights of the N heads of each layer, of the lowest first, at W positions.
    """

    stack: Literal["encoder", "decoder", "self"]
    reads: tuple[Literal["source", "end", "target"], ...]
    causal: bool
    layers: list[Tensor]


class _RecordsOptions(ABCMeta):
    """Keeps every constructor argument of a model in its attribute `options`, defaults of all bases included."""

    def __call__(cls, **options: Any) -> Any:
        defaults = {}
        for base in reversed(cls.__mro__[: cls.__mro__.index(Seq2Seq)]):
            for name, parameter in inspect.signature(base.__init__).parameters.items():
                if parameter.default is not inspect.Parameter.empty:
                    defaults[name] = parameter.default
        model: Any = object.__new__(cls)
        object.__setattr__(model, "options", defaults | options)
        model.__init__(**options)
        return model


class Seq2Seq(nn.Module, metaclass=_RecordsOptions):
    """A sequence-to-sequence model as decoding, the probes and analysis know it.

    A subclass supplies `encode`, `forward`, `start`, `step`, and an embedding layer for the source named
    `source_embedding`. Architectures are subclasses of `LitSeq2Seq`, which adds how they are trained.

    Args:
        source_vocab_size: number of source token ids.
        target_vocab_size: number of target token ids.
    """

    # What an architecture says of itself, for figures, tables and verdicts. None and "-" claim nothing.
    display_name: ClassVar[str]
    """Its name in figures and tables; the class name where a class gives none."""
    attends: ClassVar[bool | None] = None
    """Whether the decoder attends to the source."""
    windowed: ClassVar[bool] = False
    """Whether it attends within a window only."""
    recurrence: ClassVar[Literal["plain", "gated", "linear"] | None] = None
    """What carries the source to the loss where nothing attends to it: a plain recurrence, one with gates that read the
    state, or one that is linear in its state."""
    work: ClassVar[str] = "-"
    """Operations for n tokens and size d, as in Vaswani et al. 2017, table 1."""
    sequential_operations: ClassVar[str] = "-"
    """Operations that must follow each other in training, ibid."""
    path_length: ClassVar[str] = "-"
    """Longest path between a source and a target token, ibid."""

    outputs: ClassVar[tuple[str, ...]] = ("each", "one", "other")
    """Which numbers of target tokens it can give: one for each source token, one in all, any other; see data.tasks."""

    source_embedding: nn.Embedding
    options: dict[str, Any]
    """Every constructor argument with its value, defaults included: `type(model)(**options)` is the same model."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "display_name" not in vars(cls):
            cls.display_name = cls.__name__

    def __init__(self, *, source_vocab_size: int, target_vocab_size: int) -> None:
        super().__init__()
        self.source_vocab_size = source_vocab_size
        self.target_vocab_size = target_vocab_size

    @property
    def context_size(self) -> int | None:
        """Numbers of which the decoder's view of the source consists; None where it grows with the source."""
        return None

    def describe(self) -> dict[str, str | bool | int | None]:
        """What the architecture says of itself, ready for JSON."""
        return {
            "display_name": self.display_name,
            "attends": self.attends,
            "windowed": self.windowed,
            "recurrence": self.recurrence,
            "work": self.work,
            "sequential_operations": self.sequential_operations,
            "path_length": self.path_length,
            "context_size": self.context_size,
        }

    @property
    def num_params(self) -> int:
        """Number of trained parameters, embeddings included."""
        return sum(parameter.numel() for parameter in self.parameters())

    @classmethod
    def check_lengths(cls, source: int, target: int, options: dict[str, Any]) -> None:
        """Refuse sequences that a model with these options cannot take, before any is read.

        Args:
            source: tokens of the longest source.
            target: tokens of the longest target, EOS included.
            options: constructor arguments, defaults included.

        Raises:
            ValueError: a message that names the option.
        """

    # ------------------------------------------------------------------ encoding and decoding

    @abstractmethod
    def encode(self, source: Tensor, source_lengths: Tensor) -> Memory:
        """Read the source: (B, S) ids and (B,) lengths.

        The architectures here also take `batch.on_host`, by which their `forward` spares a GPU a wait.
        """

    @abstractmethod
    def forward(self, batch: Batch, need_attention: bool = True) -> Output:
        """Logits for every target token under teacher forcing, as parallel as the architecture allows.

        `need_attention=False` lets an architecture skip weights that cost extra; it may return them all the same.
        """

    @abstractmethod
    def start(self, memory: Memory) -> Any:
        """The decoder's state before its first step: any nesting of tuples of tensors with the batch first."""

    @abstractmethod
    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any, Tensor | None]:
        """One decoder step: (B,) ids and a state give (B, V) logits, the next state and (B, S) attention."""

    def select_rows(self, state: Any, rows: Tensor) -> Any:
        """The state of the given rows, in that order, with repetitions: what greedy decoding needs."""
        return apply_to_collection(state, Tensor, lambda tensor: tensor.index_select(0, rows))

    def select_hypotheses(self, state: Any, rows: Tensor, sentences: Tensor | None = None) -> Any:
        """The state of the given rows where a sentence has several, side by side: what beams and samples need.

        A row never leaves its sentence. So a NamedTuple state may name in `per_sentence` the fields that all rows of
        a sentence share; these are never repeated or reordered, and `step` then meets fewer rows in them than it is
        given tokens. Any other state is selected row by row, the source with it.

        Args:
            state: of (B x K) rows.
            rows: (B' x K') the rows wanted, those of one sentence side by side, as many for each.
            sentences: (B',) the sentences they belong to; None where these are all, in order.
        """
        shared = {name: getattr(state, name) for name in getattr(state, "per_sentence", ())}
        if not shared:
            return self.select_rows(state, rows)
        selected = self.select_rows(state._replace(**dict.fromkeys(shared)), rows)
        return selected._replace(**(shared if sentences is None else self.select_rows(shared, sentences)))

    # ------------------------------------------------------------------ what probes ask

    def attention_heads(self, batch: Batch) -> dict[str, Tensor]:
        """Where an architecture attends to the source in several places at once: the weights (B, T, S) of each, by
        name, under teacher forcing. Empty for one that has a single attention, or none."""
        return {}

    def self_attention(self, batch: Batch) -> list[SelfAttention]:
        """What the positions of each stack look at under teacher forcing; empty for an architecture without
        self-attention."""
        return []

    def transition(
        self, source: Tensor, source_lengths: Tensor, position: Tensor, state: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, ...] | None:
        """One step of a recurrent encoder by itself, as in evaluation: what Jacobians of its state are taken of.

        Args:
            source: (B, S) ids, as `encode` is given them.
            source_lengths: (B,)
            position: (B,) number of tokens each row's encoder has read before this step, in the order it reads them.
            state: everything the step reads of the one before, any number of tensors with the batch first; None
                before the first step.

        Returns:
            The next state, of the same shapes; None where the encoder is not recurrent.
        """
        return None


def require(condition: bool, option: str, value: object, message: str) -> None:
    """Refuse an option of the model.

    Raises:
        ValueError: the condition does not hold; the message names option and value.
    """
    if not condition:
        raise ValueError(f"model.{option}: {value} {message}")


def is_padded(lengths: Tensor, width: int, on_host: OnHost | None) -> bool:
    """Whether a row is not full. Without `on_host` the lengths are asked, for which a GPU has to be waited for."""
    return bool((lengths < width).any()) if on_host is None else on_host.padded


def padding_mask(lengths: Tensor, width: int, padded: bool | None = None) -> Tensor | None:
    """(B, width) true behind the end of each row; None where every row is full, which spares all masking.

    `padded` says whether there are others, as `is_padded` finds out.
    """
    if not (is_padded(lengths, width, None) if padded is None else padded):
        return None
    return torch.arange(width, device=lengths.device)[None, :] >= lengths[:, None]


def require_common(
    model: Seq2Seq, *, num_layers: int, dropout: float, tied_embeddings: bool, word_dropout: float
) -> None:
    """Refuse values that make no sense in any architecture with these options.

    Raises:
        ValueError: the message names option and value.
    """
    require(num_layers >= 1, "num_layers", num_layers, "must be at least 1")
    require(0 <= dropout < 1, "dropout", dropout, "must lie in [0, 1)")
    require(0 <= word_dropout < 1, "word_dropout", word_dropout, "must lie in [0, 1)")
    one_vocabulary = model.source_vocab_size == model.target_vocab_size
    message = "needs one vocabulary for source and target"
    require(not tied_embeddings or one_vocabulary, "tied_embeddings", tied_embeddings, message)
