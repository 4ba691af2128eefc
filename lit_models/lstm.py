"""The LSTM encoder-decoder."""

from lit_models.layers.fixed_context import FixedContextSeq2Seq
from lit_models.layers.recurrent import Cell


class LSTM(FixedContextSeq2Seq):
    """LSTM layers (Hochreiter & Schmidhuber 1997), with forget gate (Gers et al. 2000) and without peepholes, joined by
    a fixed context. With gates i, f, o = sigmoid(W x_t + U h_{t-1} + b), each of its own weights:

        g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)        c_t = f_t c_{t-1} + i_t g_t        h_t = o_t tanh(c_t)

    `layers.cells.lstm_cell` is the step; torch.nn.LSTM takes all of them in one call.

    Its options are those of FixedContextSeq2Seq.
    """

    recurrence = "gated"

    @property
    def cell(self) -> Cell:
        return "lstm"
