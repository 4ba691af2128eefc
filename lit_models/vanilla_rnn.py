"""The vanilla RNN encoder-decoder."""

from typing import Any, Literal

from lit_models.contract import require
from lit_models.layers.fixed_context import FixedContextSeq2Seq
from lit_models.layers.recurrent import Cell


class VanillaRNN(FixedContextSeq2Seq):
    """Simple recurrent layers (Elman 1990), joined by a fixed context:

        h_t = f(W x_t + U h_{t-1} + b)

    `layers.cells.rnn_cell` is the step; one call takes all of them, that of torch.nn.RNN or, in training on a CPU, of
    kernels.recurrence. With `nonlinearity: relu` and `recurrent_init: identity` it is the IRNN of Le, Jaitly & Hinton
    2015.

    Args:
        nonlinearity: f, tanh or relu.
        **kwargs: the options of FixedContextSeq2Seq.
    """

    display_name = "Vanilla RNN"
    recurrence = "plain"

    def __init__(self, *, nonlinearity: Literal["tanh", "relu"] = "tanh", **kwargs: Any) -> None:
        require(nonlinearity in ("tanh", "relu"), "nonlinearity", nonlinearity, "is unknown; choose tanh or relu")
        super().__init__(**kwargs)

    @property
    def cell(self) -> Cell:
        return "relu-rnn" if self.options["nonlinearity"] == "relu" else "rnn"
