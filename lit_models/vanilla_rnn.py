"""The vanilla RNN encoder-decoder."""

from lit_models.recurrent import Cell, FixedContextSeq2Seq


class VanillaRNN(FixedContextSeq2Seq):
    """Simple recurrent layers, h_t = tanh(W x_t + U h_{t-1} + b) (Elman 1990), joined by a fixed context.

    Its options are those of FixedContextSeq2Seq.
    """

    @property
    def cell(self) -> Cell:
        return "rnn"
