"""What a trial measures in validation, and so can choose its checkpoint or stop by: known before it begins."""

from typing import Any

import numpy as np
import torch

from data.batching import ExampleStore
from data.datamodule import Seq2SeqDataModule
from data.language.pretraining import PRETRAINING
from data.tasks import Examples, generate
from experiments.errors import UsageError
from experiments.evaluation.text_metrics import NO_BLEU, has_bleu
from experiments.evaluation.text_units import units_of
from lit_models import LitSeq2Seq
from lit_models.metrics import ENDINGS

# Metrics of validation, each with where it is best.
EVERYWHERE = {
    "loss": "min", "perplexity": "min", "token_accuracy": "max", "exact_match": "max", "greedy_token_accuracy": "max",
    "greedy_exact_match": "max", "padding": "min", **dict.fromkeys(ENDINGS, "min"),
}  # fmt: skip
ON_SYMBOLS = {"bits_presented": "max", "bits_recovered": "max"}
ON_TEXT = {"chrf": "max"}
# Metrics of the test alone.
TEST_ALONE = (
    "forced_length_token_accuracy", "forced_length_exact_match", "forced_length_bleu", "ter", "rouge1", "rouge2",
    "rougeL", "exact_match_text", "length_ratio",
)  # fmt: skip
BLEU = "bleu"
ALIGNMENT = "alignment_accuracy"
MODES = {**EVERYWHERE, **ON_SYMBOLS, **ON_TEXT, BLEU: "max", ALIGNMENT: "max"}


def direction(monitor: str | None) -> str:
    """`min` or `max`: where a metric of validation is best; of what is no such metric nothing is known, so `min`."""
    return MODES.get(str(monitor).removeprefix("validation/"), "min")


def check_monitor(
    group: str,
    monitor: str | None,
    mode: str,
    data: Seq2SeqDataModule,
    model: type[LitSeq2Seq],
    options: dict[str, Any],
) -> None:
    """Refuse a metric that validation will not have, and a mode that would take its worst value for the best.

    Args:
        group: checkpoint or early_stopping, for the message.
        monitor: such as validation/loss.
        mode: min or max.
        data: the trial's.
        model: the trial's architecture.
        options: what it is built with.

    Raises:
        UsageError: one line that names the option and lists the metrics there are; or the tokenizer that BLEU was
            to use needs what is not here.
    """
    known = [name for name in EVERYWHERE if data.task not in PRETRAINING or not name.startswith("greedy_")]
    if data.text is None:
        known.extend(ON_SYMBOLS if _an_example(data).target_bits is not None else ())
    elif data.is_translated:
        known.extend(ON_TEXT)
        references = data.text.text("validation").target
        if has_bleu(references, units_of(references, data.target_language, data.bleu_tokenize)):
            known.append(BLEU)
        elif monitor == f"validation/{BLEU}":
            raise UsageError(f"{group}.monitor: {monitor} is not measured: {NO_BLEU}, such as validation/chrf")
    if monitor == f"validation/{ALIGNMENT}" and _measures_alignment(data, model, options):
        known.append(ALIGNMENT)  # looked at only where it is asked for, as it takes a model
    if monitor not in [f"validation/{name}" for name in known]:
        names = ", ".join(f"validation/{name}" for name in known)
        raise UsageError(f"{group}.monitor: {monitor} is no metric of validation of this trial; they are {names}")
    if mode != direction(monitor):
        better = "lower" if direction(monitor) == "min" else "higher"
        raise UsageError(f"{group}.mode: {mode} contradicts {monitor}, of which {better} is better; leave it out")


def _measures_alignment(data: Seq2SeqDataModule, model: type[LitSeq2Seq], options: dict[str, Any]) -> bool:
    """Whether the task has gold alignments and the architecture attention to compare with them."""
    if data.text is not None:
        return False
    examples = _an_example(data)
    if examples.alignment is None:
        return False
    with torch.no_grad():
        return model(**options)(ExampleStore(examples).batch(np.array([0]))).attention is not None


def _an_example(data: Seq2SeqDataModule) -> Examples:
    """Of a synthetic task."""
    return generate(data.task, data.vocabulary, data.min_length, data.length, 1, data.seed, "validation")
