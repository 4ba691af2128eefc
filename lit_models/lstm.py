"""The LSTM encoder-decoder."""

from lit_models.layers.recurrent import Cell, FixedContextSeq2Seq


class LSTM(FixedContextSeq2Seq):
    """LSTM layers (Hochreiter & Schmidhuber 1997), with forget gate (Gers et al. 2000) and without peepholes, joined by
    a fixed context.

    Its options are those of FixedContextSeq2Seq.
    """

    recurrence = "gated"

    @property
    def cell(self) -> Cell:
        return "lstm"
