"""Where a model looks in test examples of a task on symbols, in the form in which attention.json keeps it of text."""

import hashlib
from typing import Any

from analysis.tables.attention_files import EXAMPLE
from data.datamodule import Seq2SeqDataModule
from data.tasks import IN_WORDS
from experiments.evaluation.samples import Sample, symbol_samples
from experiments.evaluation.text import LONGEST_SHOWN, rounded
from lit_models import LitSeq2Seq

WORD = "▁"  # what a word begins with in attention.json, as SentencePiece has it


def symbol_attention(model: LitSeq2Seq, data: Seq2SeqDataModule) -> list[dict[str, Any]]:
    """One example of every test length that can be shown; none for a model without attention.

    Models tested on the same example get the same id, so that they can be drawn side by side.
    """
    samples = symbol_samples(model, data, 1, longest=LONGEST_SHOWN)
    return [_entry(data.task, sample, sample.attention) for sample in samples if sample.attention and sample.output]


def _entry(task: str, sample: Sample, weights: list[list[float]]) -> dict[str, Any]:
    digest = hashlib.sha256(" ".join([task, *sample.source]).encode()).digest()
    return {
        "id": int.from_bytes(digest[:3], "big"),
        "name": f"{EXAMPLE}{task}, " + (f"distance {sample.length}" if task in IN_WORDS else f"{sample.length} tokens"),
        "source": [WORD + symbol for symbol in sample.source],
        "target": [WORD + symbol for symbol in sample.output],
        "attention": rounded(weights),
        "heads": None,
    }
