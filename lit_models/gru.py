"""The GRU encoder-decoder."""

from lit_models.layers.fixed_context import FixedContextSeq2Seq
from lit_models.layers.recurrent import Cell


class GRU(FixedContextSeq2Seq):
    """GRU layers (Cho et al. 2014), joined by a fixed context. With gates r, z = sigmoid(W x_t + U h_{t-1} + b), each
    of its own weights:

        n_t = tanh(W_n x_t + b_n + r_t (U_n h_{t-1} + b'_n))        h_t = (1 - z_t) n_t + z_t h_{t-1}

    `layers.cells.gru_cell` is the step; one call takes all of them, that of torch.nn.GRU or, in training on a CPU, of
    kernels.recurrence. Deviation: the reset gate stands behind the recurrent product, r (U h), as in torch.nn.GRU; in
    the paper before it, U (r h).

    Its options are those of FixedContextSeq2Seq.
    """

    recurrence = "gated"

    @property
    def cell(self) -> Cell:
        return "gru"
