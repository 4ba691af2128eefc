"""Luong's global attention: every source position is looked at."""

from torch import Tensor

from lit_models.layers.attention import masked_softmax
from lit_models.luong import LuongSeq2Seq, Map, Source


class LuongGlobal(LuongSeq2Seq):
    """Global attention (Luong et al. 2015, section 3.1): a_t = softmax(score(h_t, h_s)) over the whole source.

    Its options are those of LuongSeq2Seq.
    """

    display_name = "Luong global"

    def attend(self, queries: Tensor, taken: Tensor, source: Source, score: Map) -> Tensor:
        return masked_softmax(score(queries), source.blocked)
