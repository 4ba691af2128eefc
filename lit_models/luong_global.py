"""Luong's global attention: every source position is looked at."""

from torch import Tensor

from lit_models.kernels.step_products import Map
from lit_models.layers.attention import masked_softmax
from lit_models.luong import LuongSeq2Seq, Source


class LuongGlobal(LuongSeq2Seq):
    """Global attention (Luong et al. 2015, section 3.1): a_t = softmax(score(h_t, h_s)) over the whole source.

    Its options are those of LuongSeq2Seq.
    """

    display_name = "Luong global"

    def attend(self, h: Tensor, position: Tensor, source: Source, score: Map) -> Tensor:
        return masked_softmax(score(h), source.mask)  # a_t(s) = exp score(h_t, h_s) / sum_s' exp score(h_t, h_s')
