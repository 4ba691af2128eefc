"""Minimum Bayes risk decoding: of several samples, the one that agrees best with all the others."""

from collections import Counter
from typing import Literal, get_args

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

Utility = Literal["bleu", "chrf"]


def minimum_bayes_risk(texts: list[str], utility: Utility) -> tuple[int, list[float]]:
    """The sample of highest expected utility (Kumar & Byrne 2004), the samples standing for the model's distribution
    (Eikema & Aziz 2020, equation 5):

        u(h) = 1/n sum_i utility(h, y_i)        winner = argmax over the samples of u

    A sample meets itself among the y_i. Equal samples count as often as they were drawn and are computed once.

    Args:
        texts: the n samples of one sentence, as text.
        utility: bleu, sacreBLEU's sentence BLEU with effective order; or chrf, its chrF2. Both lie in [0, 100].

    Returns:
        The index of the winner, the first of several, and the expected utility of every sample.

    Raises:
        ValueError: no texts, or an unknown utility.
    """
    if not texts:
        raise ValueError("decoding.samples: minimum Bayes risk needs at least 1 text")
    if utility not in get_args(Utility):
        raise ValueError(f"decoding.utility: '{utility}' is unknown; choose {' or '.join(get_args(Utility))}")
    counts = Counter(texts)
    utilities = np.array([_utilities(list(counts), reference, utility) for reference in counts])  # (references, texts)
    expected = dict(zip(counts, np.array(list(counts.values())) @ utilities / len(texts), strict=True))
    by_text = [float(expected[text]) for text in texts]
    return by_text.index(max(by_text)), by_text


def _utilities(hypotheses: list[str], reference: str, utility: Utility) -> list[float]:
    """Of every hypothesis against one reference, whose n-grams are counted once: a corpus of one sentence."""
    references = [[reference]]
    metric = BLEU(effective_order=True, references=references) if utility == "bleu" else CHRF(references=references)
    return [metric.corpus_score([hypothesis], None).score for hypothesis in hypotheses]
