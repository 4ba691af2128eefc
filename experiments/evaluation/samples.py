"""A few test examples of a task on symbols, with what a model makes of them."""

import math
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch.utilities import move_data_to_device

from data.batch import BOS, EOS, FIRST_TOKEN, PAD, Batch
from data.datamodule import Seq2SeqDataModule
from data.tasks import TASKS
from lit_models import LitSeq2Seq

ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def table_cell(text: str) -> str:
    r"""A text in a tab-separated table, with \t, \n, \r and \\ for tab, line feed, carriage return and backslash."""
    return text.translate(ESCAPES)


class Sample(NamedTuple):
    """One example. Attributes: test length, S source symbols, the target, T symbols of the output, weights (T, S)."""

    length: int
    source: list[str]
    target: list[str]
    output: list[str]
    attention: list[list[float]] | None


@torch.no_grad()
def symbol_samples(model: LitSeq2Seq, data: Seq2SeqDataModule, count: int, longest: float = math.inf) -> list[Sample]:
    """Decode the first so many test examples of every length, greedily.

    Args:
        model: a trained model.
        data: a task on symbols.
        count: examples of each length.
        longest: greatest length that is decoded.
    """
    model.eval()
    samples = []
    for length, loader in zip(data.eval_lengths, data.predict_dataloader(), strict=True):
        if length > longest:
            continue
        store = loader.store
        batch = move_data_to_device(store.batch(np.arange(min(count, len(store)))), model.device)
        outputs = model.predict_step(batch, 0)
        target_in = torch.cat([torch.full_like(outputs[:, :1], BOS), outputs[:, :-1]], dim=1)
        weights = model(Batch(batch.source, batch.source_lengths, target_in, outputs), need_attention=True).attention
        for row, output in enumerate(outputs):
            rows = (batch.source[row], batch.target_out[row], output)
            source, target, written = (symbols(tokens.tolist(), data.task) for tokens in rows)
            shown = None if weights is None else weights[row, : len(written), : len(source)].float().tolist()
            samples.append(Sample(length, source, target, written, shown))
    return samples


def symbols(tokens: list[int], task: str) -> list[str]:
    """Token ids as the task's shown symbols, or words, up to EOS; a question mark is no symbol of the task."""
    end, words = tokens.index(EOS) if EOS in tokens else len(tokens), TASKS[task].words
    numbers = [token - FIRST_TOKEN for token in tokens[:end] if token != PAD]
    return ["?" if number < 0 else words[number] if words else str(number) for number in numbers]
