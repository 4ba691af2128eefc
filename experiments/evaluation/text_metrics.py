"""What is measured on detokenised text, by the libraries that papers are compared with."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sacrebleu.metrics.bleu import BLEU, MAX_NGRAM_ORDER
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from torchmetrics.functional.text import rouge_score

from experiments.evaluation.text_units import Units, units_of

ROUGE = {"rouge1": 1, "rouge2": 2, "rougeL": 1}  # with the words that a reference needs to be scored at all
NO_BLEU = "BLEU is undefined: no reference has 4 words, so that there are no 4-grams; look at chrF and exact match"


def corpus_metrics(lowercase: bool, units: Units) -> dict[str, BLEU | CHRF | TER]:
    """sacreBLEU's metrics (Post 2018): BLEU (Papineni et al. 2002), chrF (Popović 2015), TER (Snover et al. 2006)."""
    return {
        "bleu": BLEU(lowercase=lowercase, tokenize=units.bleu),
        "chrf": CHRF(lowercase=lowercase),
        "ter": _ter(lowercase, units),
    }


def _ter(lowercase: bool, units: Units) -> TER:
    asian = units.ideographs
    return TER(case_sensitive=not lowercase, normalized=asian, asian_support=asian)


class SentenceScores(NamedTuple):
    """What one sentence adds to the figures of any set of sentences it is in.

    Attributes:
        bleu: the counts `BLEU_STATISTICS` of the schema.
        ter_edits: edits that make the output the reference.
        ter_words: words of the reference as TER counts them.
        rouge: F1 of each of `ROUGE`; NaN where the reference is too short for it.
        exact: whether output and reference are the same.
    """

    bleu: list[int]
    ter_edits: float
    ter_words: float
    rouge: tuple[float, ...]
    exact: bool


def sentence_scores(
    outputs: Sequence[str],
    references: Sequence[str],
    lowercase: bool,
    done: Callable[[int], Any] = lambda sentences: None,
    units: Units | None = None,
) -> list[SentenceScores]:
    """Score N sentences once; what takes long, TER above all, is then only summed for each set of them.

    A sentence of 20 words takes a millisecond, one of 250 words some seconds.

    Args:
        outputs: N detokenised texts.
        references: N reference texts, one for score.
        lowercase: whether case is ignored.
        done: told the number of sentences whenever some are finished.
        units: how text is cut; None takes those of the references.
    """
    units = units or units_of(references)
    bleu, ter = BLEU(lowercase=lowercase, tokenize=units.bleu, effective_order=True), _ter(lowercase, units)
    scores = []
    for output, reference in zip(outputs, references, strict=True):
        counted, edits = bleu.sentence_score(output, [reference]), ter.sentence_score(output, [reference])
        rouge = rouge_score(output, reference, normalizer=str, tokenizer=units.of_rouge, rouge_keys=tuple(ROUGE))
        words = len(units.of_rouge(reference))
        same = _compared(output, lowercase) == _compared(reference, lowercase)
        scores.append(
            SentenceScores(
                [*counted.counts, *counted.totals, counted.sys_len, counted.ref_len],
                edits.num_edits,
                edits.ref_length,
                tuple(
                    float(rouge[f"{name}_fmeasure"]) if words >= least else math.nan for name, least in ROUGE.items()
                ),
                same,
            )
        )
        done(1)
    return scores


def text_metrics(
    outputs: Sequence[str],
    references: Sequence[str],
    lowercase: bool,
    scores: Sequence[SentenceScores] | None = None,
    units: Units | None = None,
) -> dict[str, float]:
    """Every figure of a set of sentences.

    Args:
        outputs: N detokenised texts.
        references: N reference texts, one for score.
        lowercase: whether case is ignored. ROUGE always ignores it.
        scores: those of the sentences, where they have been computed.
        units: how text is cut; None takes those of the references.

    Returns:
        bleu, chrf and ter in percent; rouge1, rouge2 and rougeL as F1 between 0 and 1 (Lin 2004); exact_match_text;
        length_ratio, words of outputs to references, or whatever BLEU counts.
        bleu is NaN where it is undefined: where no reference is long enough for a 4-gram, the best output would get
        0. Likewise each ROUGE, which is the mean over the sentences it is defined for.
    """
    units = units or units_of(references)
    scores = sentence_scores(outputs, references, lowercase, units=units) if scores is None else scores
    counts = [sum(column) for column in zip(*(score.bleu for score in scores), strict=True)]
    edits, words = sum(score.ter_edits for score in scores), sum(score.ter_words for score in scores)
    bleu = BLEU.compute_bleu(counts[:4], counts[4:8], counts[8], counts[9], smooth_method="exp")
    values = {
        "bleu": bleu.score if has_bleu(references, units) else math.nan,
        "chrf": CHRF(lowercase=lowercase).corpus_score(list(outputs), [list(references)]).score,
        "exact_match_text": sum(score.exact for score in scores) / len(scores),
        "ter": 100 * (edits / words if words else float(edits > 0)),
        "length_ratio": counts[8] / max(counts[9], 1),
    }
    for place, name in enumerate(ROUGE):
        defined = [score.rouge[place] for score in scores if not math.isnan(score.rouge[place])]
        values[name] = sum(defined) / len(defined) if defined else math.nan
    return values


def corpus_bleu(outputs: Sequence[str], references: Sequence[str], lowercase: bool, units: Units) -> float:
    """BLEU alone of a set of sentences, in percent; NaN where it is undefined, as in `text_metrics`."""
    if not has_bleu(references, units):
        return math.nan
    return corpus_metrics(lowercase, units)["bleu"].corpus_score(list(outputs), [list(references)]).score


def has_bleu(references: Sequence[str], units: Units) -> bool:
    """Whether BLEU is defined: one of the references must be long enough for a 4-gram."""
    return any(len(units.of_bleu(reference)) >= MAX_NGRAM_ORDER for reference in references)


def _compared(text: str, lowercase: bool) -> str:
    """What must be the same for an exact match: not the spaces, several of which are one to any metric."""
    return " ".join((text.lower() if lowercase else text).split())


def signatures(lowercase: bool, normalised: bool = False, units: Units | None = None) -> dict[str, str]:
    """sacreBLEU's description of each metric, without which a score says little; of ROUGE what it is counted in.

    `normalised` says that references were put into NFKC, the form that older tokenizers give outputs; the signature
    then ends with `references:nfkc`. Otherwise both texts are scored as they are.
    """
    units = units or Units()
    described = {name: f"tok:{units.rouge}" for name in ROUGE}
    for name, metric in corpus_metrics(lowercase, units).items():
        metric.corpus_score([""], [[""]])  # a signature names the number of references, known only then
        described[name] = f"{metric.get_signature()}{'|references:nfkc' if normalised else ''}"
    return described
