"""What a trial's run in a logger shows besides numbers: sample outputs, attention, gradient flow, and artifacts."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from PIL import Image

from analysis.errors import ReportError
from analysis.figures.attention.pair import draw_attention
from analysis.figures.chart import save_figure
from analysis.figures.registry import section_charts
from analysis.tables.architectures import Architectures, stated_by
from analysis.tables.gradient_tables import read_gradients
from analysis.tables.schema import ATTENTION, GRADIENTS, SENTENCES
from data.datamodule import Seq2SeqDataModule
from experiments.evaluation.samples import Sample, symbol_samples
from experiments.evaluation.text import LONGEST_SHOWN
from experiments.files import read_rows
from lit_models import LitSeq2Seq

SAMPLES_PER_LENGTH = 8
MOST_SENTENCES = 200  # of text, in the table of samples
MOST_MAPS = 4
SENTENCE_COLUMNS = SENTENCES.names[:5]  # what of a sentence people read; the counts behind them are for BLEU


def log_samples(logger: Logger, model: LitSeq2Seq, data: Seq2SeqDataModule) -> None:
    """A table of what the model makes of test examples of a task on symbols, and its attention in the longest
    that can be shown."""
    samples = symbol_samples(model, data, SAMPLES_PER_LENGTH)
    rows = [
        [sample.length, *(" ".join(part) for part in sample[1:4]), sample.output == sample.target] for sample in samples
    ]
    _log_table(logger, ["length", "source", "target", "output", "right"], rows)
    with tempfile.TemporaryDirectory() as folder:
        _log_maps(logger, Path(folder), [
            (sample.source, sample.output, sample.attention, f"length_{sample.length}")
            for sample in _longest_shown(samples)
        ])  # fmt: skip


def log_files(logger: Logger, folder: Path, summary: dict[str, Any]) -> None:
    """Sentences, attention and gradient flow of a trial, as far as its folder has them."""
    if (path := folder / SENTENCES.file).exists():
        rows = [[row[column] for column in SENTENCE_COLUMNS] for row in read_rows(path)]
        _log_table(logger, SENTENCE_COLUMNS, rows[:MOST_SENTENCES])
    with tempfile.TemporaryDirectory() as drawn:
        if (path := folder / ATTENTION.file).exists() and (folder / SENTENCES.file).exists():
            sentences = json.loads(path.read_text(encoding="utf-8"))["sentences"][:MOST_MAPS]
            _log_maps(logger, Path(drawn), [
                (one["source"], one["target"], one["attention"], f"sentence_{one['id']}") for one in sentences
            ])  # fmt: skip
        if (folder / GRADIENTS.file).exists():
            _log_gradient_figures(logger, folder, Path(drawn), Architectures(stated_by(summary)))


def log_artifacts(logger: WandbLogger, name: str, folder: Path, data: Seq2SeqDataModule) -> None:
    """The best checkpoint with its configuration as an artifact of type model, and tokenizers as one of their own."""
    import wandb

    model = wandb.Artifact(f"{name}-model", type="model")
    model.add_file(str(folder / "checkpoints" / "best.ckpt"))
    model.add_file(str(folder / "config.yaml"))
    logger.experiment.log_artifact(model)
    if data.text is not None:
        tokenizers = wandb.Artifact(f"{name}-tokenizer", type="tokenizer")
        for side, tokenizer in zip(("source", "target"), data.text.tokenizers, strict=True):
            with tokenizers.new_file(f"{side}.model", "wb") as file:
                file.write(tokenizer.model)
        logger.experiment.log_artifact(tokenizers)


def _longest_shown(samples: list[Sample]) -> list[Sample]:
    """The first example of each of the greatest lengths whose attention can be read."""
    first: dict[int, Sample] = {}
    for sample in samples:
        if sample.attention and sample.length <= LONGEST_SHOWN:
            first.setdefault(sample.length, sample)
    return [first[length] for length in sorted(first)[-MOST_MAPS:]]


def _log_table(logger: Logger, columns: list[Any], rows: list[Any]) -> None:
    if isinstance(logger, WandbLogger):
        import wandb

        logger.experiment.log({"samples": wandb.Table(columns=columns, data=rows)})
    elif isinstance(logger, TensorBoardLogger):
        lines = ["\t".join(map(str, row)) for row in (columns, *rows)]
        logger.experiment.add_text("samples", "\n".join(f"    {line}" for line in lines))  # indented: code in Markdown
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_table(logger.run_id, {
            name: [row[column] for row in rows] for column, name in enumerate(columns)
        }, "samples.json")  # fmt: skip


def _log_maps(logger: Logger, folder: Path, maps: list[tuple[list[str], list[str], Any, str]]) -> None:
    """Heatmaps of attention; one picture for each (source, output, weights (T, S), name)."""
    for number, (source, output, weights, name) in enumerate(maps):
        path = folder / f"{number}.png"
        draw_attention(path, source, output, weights)
        _log_image(logger, f"attention/{name}", path, "Columns: the source. Rows: the model's own output.")


def _log_image(logger: Logger, key: str, path: Path, caption: str) -> None:
    if isinstance(logger, WandbLogger):
        import wandb

        logger.experiment.log({key: wandb.Image(str(path), caption=caption)})
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(key, np.asarray(Image.open(path).convert("RGB")), dataformats="HWC")
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_artifact(logger.run_id, str(path), key)


def _log_gradient_figures(logger: Logger, folder: Path, drawn: Path, architectures: Architectures) -> None:
    """The figures that the gradients.csv of a single trial gives."""
    try:
        charts = section_charts("gradients", architectures, gradients=read_gradients([folder]))
    except ReportError:  # a model about to diverge leaves a file that no figure can be drawn from
        return
    for chart in charts:
        path = drawn / f"{chart.name}.png"
        save_figure(chart.figure, path, {})
        _log_image(logger, f"gradients/{chart.name}", path, chart.caption)
