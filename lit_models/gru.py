"""The GRU encoder-decoder."""

from lit_models.layers.recurrent import Cell, FixedContextSeq2Seq


class GRU(FixedContextSeq2Seq):
    """GRU layers (Cho et al. 2014), joined by a fixed context.

    Deviation: the reset gate stands behind the recurrent product, r * (U h), as in torch.nn.GRU.

    Its options are those of FixedContextSeq2Seq.
    """

    recurrence = "gated"

    @property
    def cell(self) -> Cell:
        return "gru"
