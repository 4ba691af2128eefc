"""Small models of every architecture, with every option that changes their computation; their layers as torch's."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.batch import BOS, EOS, FIRST_TOKEN, PAD, Batch
from data.batching import ExampleStore
from data.tasks import generate
from lit_models import architectures
from lit_models.layers.transformer_layers import MultiHeadAttention

VOCAB_SIZE = 12

_RECURRENT: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True, "embedding_size": 6},
    {"reverse_source": True},
    {"tied_embeddings": True},
]
_FIXED_CONTEXT = [
    *_RECURRENT,
    {"context": "every-step", "readout": "maxout", "num_layers": 2},
    {"context": "every-step", "bidirectional": True},
]
_SCORES = ("additive", "dot", "scaled-dot", "general", "concat")
_INPUT_FEEDING: list[dict[str, Any]] = [
    {"input_feeding": True, "num_layers": 2, "bidirectional": True, "embedding_size": 6},
    {"input_feeding": True, "cell": "gru", "num_layers": 2},
    {"input_feeding": True, "cell": "rnn", "reverse_source": True},
]
_LOCATION = [{"score": "location", "location_positions": 20}, {"score": "location", "location_positions": 3}]
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "VanillaRNN": _FIXED_CONTEXT,
    "LSTM": _FIXED_CONTEXT,
    "GRU": _FIXED_CONTEXT,
    "Bahdanau": [
        *_RECURRENT,
        {"readout": "linear"},
        {"readout_state": "current", "num_layers": 2},
        *({"score": score} for score in _SCORES),
        *_LOCATION,
    ],
    "LuongGlobal": [
        *_RECURRENT,
        *({"score": score, "input_feeding": feeding} for score in _SCORES for feeding in (False, True)),
        *_INPUT_FEEDING,
        *_LOCATION,
    ],
    "LuongLocal": [  # scores and input feeding are those of LuongGlobal; here they meet a window
        {},
        *(
            {"score": score, "input_feeding": feeding}
            for score, feeding in zip(_SCORES, [False, True] * 3, strict=False)
        ),
        *({**options, "alignment": "monotonic", "window": 2} for options in ({}, *_INPUT_FEEDING)),
        {"num_layers": 2, "bidirectional": True, "embedding_size": 6, "window": 1},
    ],
    "Transformer": [
        {},
        {"norm": "post"},
        {"positions": "learned", "max_positions": 16},
        {"positions": "none", "tied_embeddings": True, "num_heads": 2},
        {"positions": "rope", "num_layers": 1, "feed_forward_size": 10},
        {"positions": "alibi"},
        {"positions": "t5"},
        {"positions": "randomised", "max_positions": 40},
    ],
    "MinGRU": [{}, {"conv_width": 0, "num_layers": 1}, {"candidate": "positive", "tied_embeddings": True}],
    "DeltaNet": [{}, {"conv_width": 0, "gated": False, "negative_eigenvalues": True, "num_layers": 1, "num_heads": 4}],
    "SelectiveSSM": [
        {"state_size": 2, "expansion": 1},  # small, since the Jacobian of its state is taken
        {"state_size": 2, "num_layers": 1, "conv_width": 1, "feed_forward_size": 6},
    ],
    "DecoderOnly": [
        {},
        {"norm": "post", "positions": "learned", "max_positions": 32},
        {"positions": "none", "tied_embeddings": True, "num_heads": 2},
        {"positions": "rope", "num_layers": 1, "feed_forward_size": 10},
        {"positions": "alibi"},
        {"positions": "t5"},
        {"positions": "randomised", "max_positions": 60},
    ],
    "EncoderOnly": [
        {},
        {"norm": "post", "positions": "learned", "max_positions": 16},
        {"positions": "rope", "tied_embeddings": True, "num_heads": 2},
        {"positions": "alibi", "num_layers": 1, "feed_forward_size": 10},
        {"positions": "t5"},
        {"positions": "randomised", "max_positions": 40},
    ],
}


def every_model() -> list[Any]:
    """(name, options) of all architectures found, with the variants known of them."""
    return [(name, options) for name in architectures() for options in VARIANTS.get(name, [{}])]


def label(value: Any) -> str:
    """A readable test id."""
    if isinstance(value, dict):
        return ",".join(f"{key}={setting}" for key, setting in value.items()) or "defaults"
    return str(value)


def make(name: str, options: dict[str, Any] | None = None, seed: int = 0) -> Any:
    """A tiny model in evaluation mode, its weights drawn from the seed. Tests reach into its parts, hence Any."""
    torch.manual_seed(seed)
    sizes = {"source_vocab_size": VOCAB_SIZE, "target_vocab_size": VOCAB_SIZE, "hidden_size": 8}
    return architectures()[name](**{**sizes, **(options or {})}).eval()


def known(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that the architecture has: it need have none but its size."""
    return {option: value for option, value in options.items() if option in make(name).options}


def random_batch(lengths: list[tuple[int, int]], seed: int = 1) -> Batch:
    """A padded batch of random sequences with the given (source, target) lengths, EOS not counted."""
    generator = torch.Generator().manual_seed(seed)
    pairs = [
        (
            torch.randint(FIRST_TOKEN, VOCAB_SIZE, (source,), generator=generator),
            torch.randint(FIRST_TOKEN, VOCAB_SIZE, (target,), generator=generator),
        )
        for source, target in lengths
    ]
    begin, end = torch.tensor([BOS]), torch.tensor([EOS])
    return Batch(
        source=_padded([source for source, _ in pairs]),
        source_lengths=torch.tensor([source for source, _ in lengths]),
        target_in=_padded([torch.cat([begin, target]) for _, target in pairs]),
        target_out=_padded([torch.cat([target, end]) for _, target in pairs]),
    )


def sequences(shortest: int = 6, longest: int = 6) -> Batch:
    """A batch of 8 sequences to copy as training has it, of so many tokens."""
    return ExampleStore(generate("copy", 8, shortest, longest, 8, 0, "train")).batch(np.arange(8))


def one_row(batch: Batch, row: int) -> Batch:
    """A row of a batch alone, without its padding."""
    source, target = int(batch.source_lengths[row]), int((batch.target_out[row] != PAD).sum())
    return Batch(
        source=batch.source[row : row + 1, :source],
        source_lengths=batch.source_lengths[row : row + 1],
        target_in=batch.target_in[row : row + 1, :target],
        target_out=batch.target_out[row : row + 1, :target],
    )


def _padded(rows: list[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def copy_attention(mine: MultiHeadAttention, theirs: Any) -> None:
    """Give torch's attention the weights of ours."""
    theirs.in_proj_weight.data = torch.cat([mine.query.weight, mine.key_value.weight]).detach()
    theirs.in_proj_bias.data = torch.cat([mine.query.bias, mine.key_value.bias]).detach()
    theirs.out_proj.load_state_dict(mine.output.state_dict())


def copy_layer(mine: Any, theirs: Any) -> None:
    """Give a layer of torch's transformer the weights of ours."""
    sublayers = ["attention_sublayer", "cross_attention_sublayer", "feed_forward_sublayer"]
    copy_attention(mine.attention, theirs.self_attn)
    if hasattr(mine, "cross_attention"):
        copy_attention(mine.cross_attention, theirs.multihead_attn)
    else:
        sublayers.remove("cross_attention_sublayer")
    for number, name in enumerate(sublayers, start=1):
        getattr(theirs, f"norm{number}").load_state_dict(getattr(mine, name).norm.state_dict())
    theirs.linear1.load_state_dict(mine.feed_forward[0].state_dict())
    theirs.linear2.load_state_dict(mine.feed_forward[2].state_dict())
