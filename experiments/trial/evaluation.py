"""How a trial is evaluated: at every length of a task on symbols, or on the test split of a text as a whole and by
source length."""

import csv
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl

from analysis.tables.schema import ALL, ATTENTION, CHANCE, RESULTS, SENTENCES
from data.datamodule import Seq2SeqDataModule
from experiments.evaluation.symbol_attention import symbol_attention
from experiments.evaluation.text import Row, evaluate_text, summary_of_text, write_attention
from experiments.files import whole_file, write_csv
from experiments.machine import is_nonzero_rank
from lit_models import LitSeq2Seq
from lit_models.decoding.decoder import Decoding

# Teacher-forced figures that mean something of text; free-running text is scored as text.
FORCED = ("loss", "perplexity", "token_accuracy", "padding")


class Evaluation(NamedTuple):
    """What a trial came to.

    Attributes:
        rows: of results.csv.
        label: what figures call the model where they show its attention.
        attention: examples as attention.json has them; empty without attention.
        sentences: rows of sentences.csv, None for a task on symbols.
        summary: what summary.json says of text besides.
    """

    rows: list[Row]
    label: str
    attention: list[dict[str, Any]]
    sentences: list[tuple[Any, ...]] | None
    summary: dict[str, Any]


def evaluate(
    trainer: pl.Trainer,
    model: LitSeq2Seq,
    data: Seq2SeqDataModule,
    decoding: Decoding,
    report: Callable[[str], None] = lambda note: None,
) -> Evaluation:
    """Test a model. Of several processes that share the work, the first one alone decodes text.

    Args:
        trainer: runs the teacher-forced test.
        model: a trained model.
        data: what it is tested on.
        decoding: which decoder produces text.
        report: told how far the test split of text is.

    Raises:
        KeyboardInterrupt: SIGTERM, of which Lightning only takes note while it tests.
    """
    trainer.test(model, data, verbose=False)
    if trainer.received_sigterm:
        raise KeyboardInterrupt
    model.to(trainer.strategy.root_device)  # Lightning has moved it to the CPU
    arch = type(model).__name__
    if not data.is_translated:
        attention = [] if is_nonzero_rank() or data.text is not None else symbol_attention(model, data)
        return Evaluation(_rows_by_length(model, data), f"{arch}, {data.task} {data.length}", attention, None, {})
    assert data.text is not None
    rows = _teacher_forced_rows(model, data)
    if is_nonzero_rank():
        return Evaluation(rows, "", [], None, {})
    total, finished = len(data.text.text("test")), Counter[str]()

    def count(task: str, sentences: int) -> None:
        finished[task] += sentences
        report(f"{task} the test split, {finished[task]:,} of {total:,} sentences")

    text = evaluate_text(model, data, decoding, count)
    summary = summary_of_text(data, decoding, text)
    return Evaluation([*rows, *text.rows], f"{arch}-{data.length}", text.attention, text.sentences, summary)


def _teacher_forced_rows(model: LitSeq2Seq, data: Seq2SeqDataModule) -> list[Row]:
    assert data.text is not None
    [(values, _)] = model.test_results
    longest = int(data.text.lengths("test").max())
    return [Row(ALL, longest, None, name, value) for name, value in values.items() if name in FORCED]


def _rows_by_length(model: LitSeq2Seq, data: Seq2SeqDataModule) -> list[Row]:
    rows: list[Row] = []
    for length, (values, by_position) in zip(data.eval_lengths, model.test_results, strict=True):
        rows.extend(Row("", length, None, name, value) for name, value in values.items())
        rows.append(Row("", length, None, CHANCE, data.chance(length)))
        rows.extend(
            Row("", length, position, "greedy_token_accuracy_by_position", value)
            for position, value in enumerate(by_position, start=1)
            if not math.isnan(value)
        )
    return rows


def write_evaluation(folder: Path, arch: str, evaluation: Evaluation) -> None:
    """Write sentences.csv and attention.json as far as there are any, and results.csv, each whole or not at all."""
    if evaluation.sentences is not None:
        write_csv(folder / SENTENCES.file, SENTENCES.names, evaluation.sentences)
    if evaluation.attention:
        write_attention(folder / ATTENTION.file, arch, evaluation.label, evaluation.attention)
    with whole_file(folder / RESULTS.file) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(RESULTS.names)
        for row in evaluation.rows:
            position = "" if row.position is None else row.position
            writer.writerow(("test", row.eval_length, row.bucket, position, row.metric, repr(float(row.value))))
