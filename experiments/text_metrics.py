"""What is measured on detokenised text, by the libraries that papers are compared with."""

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from torchmetrics.functional.text import rouge_score

ROUGE = ("rouge1", "rouge2", "rougeL")


def corpus_metrics(lowercase: bool) -> dict[str, BLEU | CHRF | TER]:
    """sacreBLEU's metrics (Post 2018): BLEU (Papineni et al. 2002), chrF (Popović 2015), TER (Snover et al. 2006)."""
    return {
        "bleu": BLEU(lowercase=lowercase),
        "chrf": CHRF(lowercase=lowercase),
        "ter": TER(case_sensitive=not lowercase),
    }


def text_metrics(outputs: Sequence[str], references: Sequence[str], lowercase: bool) -> dict[str, float]:
    """Every figure of a set of sentences.

    Args:
        outputs: N detokenised texts.
        references: N reference texts, one for each.
        lowercase: whether case is ignored. ROUGE always ignores it.

    Returns:
        bleu, chrf and ter in percent; rouge1, rouge2 and rougeL as F1 between 0 and 1 (Lin 2004), which counts runs
        of a-z and 0-9 only, as the original does; exact_match_text; length_ratio, words of outputs to references.
    """
    values = {
        name: metric.corpus_score(list(outputs), [list(references)]).score
        for name, metric in corpus_metrics(lowercase).items()
    }
    rouge = rouge_score(list(outputs), list(references), rouge_keys=ROUGE)
    values.update({name: float(rouge[f"{name}_fmeasure"]) for name in ROUGE})
    same = (
        _folded(output, lowercase) == _folded(reference, lowercase) for output, reference in _pairs(outputs, references)
    )
    values["exact_match_text"] = sum(same) / len(outputs)
    statistics = bleu_statistics(outputs, references, lowercase)
    values["length_ratio"] = sum(row[8] for row in statistics) / sum(row[9] for row in statistics)
    return values


def signatures(lowercase: bool) -> dict[str, str]:
    """sacreBLEU's description of each metric, without which a score says little."""
    described = {}
    for name, metric in corpus_metrics(lowercase).items():
        metric.corpus_score([""], [[""]])  # a signature names the number of references, known only then
        described[name] = str(metric.get_signature())
    return described


BLEU_COLUMNS = (
    *(f"bleu_correct_{order}" for order in range(1, 5)),
    *(f"bleu_total_{order}" for order in range(1, 5)),
    "output_words",
    "reference_words",
)


def bleu_statistics(outputs: Sequence[str], references: Sequence[str], lowercase: bool) -> list[list[int]]:
    """For each sentence the counts `BLEU_COLUMNS`, whose sums over any set of sentences give its corpus BLEU."""
    metric = BLEU(lowercase=lowercase, effective_order=True)
    rows = []
    for output, reference in _pairs(outputs, references):
        score = metric.sentence_score(output, [reference])
        rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
    return rows


def _pairs(outputs: Sequence[str], references: Sequence[str]):
    return zip(outputs, references, strict=True)


def _folded(text: str, lowercase: bool) -> str:
    return text.lower() if lowercase else text
