"""Validation of a text task in the terms of the task: BLEU and chrF of greedy output, as training goes on."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from data.batch import Batch
from data.datamodule import Seq2SeqDataModule
from experiments.evaluation.text_metrics import corpus_metrics, has_bleu
from experiments.evaluation.text_units import units_of


class ValidationScores(Callback):
    """Logs `validation/bleu`, where BLEU is defined, and `validation/chrf`, by which checkpoints can be chosen.

    Both in percent, by sacreBLEU, of greedy decoding.
    """

    def __init__(self, data: Seq2SeqDataModule) -> None:
        assert data.text is not None
        self.tokenizer = data.text.tokenizers[1]
        self.references = self.tokenizer.comparable(data.text.text("validation").target)
        units = units_of(self.references, data.target_language, data.bleu_tokenize)
        metrics = corpus_metrics(data.lowercase, units)
        self.metrics = {name: metrics[name] for name in ("bleu", "chrf")}
        if not has_bleu(self.references, units):
            del self.metrics["bleu"]
        self.outputs: dict[int, str] = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.outputs = {}

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        assert batch.examples is not None
        for example, tokens in zip(batch.examples.tolist(), outputs.tolist(), strict=True):
            self.outputs[example] = self.tokenizer.decode(tokens)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        parts: list[Any] = [self.outputs]
        if trainer.world_size > 1:
            parts = [None] * trainer.world_size
            torch.distributed.all_gather_object(parts, self.outputs)
        texts: dict[int, str] = {example: text for part in parts for example, text in part.items()}
        order = sorted(texts)
        outputs, references = [texts[i] for i in order], [[self.references[i] for i in order]]
        for name, metric in self.metrics.items():
            pl_module.log(f"validation/{name}", metric.corpus_score(outputs, references).score)
