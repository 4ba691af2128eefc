"""Checkpoints: the weights, and everything needed to use them elsewhere; read without running anything they contain."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO

from data.datamodule import Seq2SeqDataModule
from data.language.word_tokenizer import WordTokenizer, carried_tokenizers
from data.tasks import IN_WORDS, TASKS
from data.text import KEY
from data.tokenizer import Tokenizer
from experiments.errors import UsageError
from experiments.files import whole_file
from experiments.trial.outcome import out_of_memory, reason
from lit_models import LitSeq2Seq, architectures


class TextContent(NamedTuple):
    """What a checkpoint trained on text says of it."""

    tokenizers: tuple[Tokenizer, Tokenizer]
    source_language: str
    target_language: str
    lowercase: bool


class Checkpoint(NamedTuple):
    """What a file says of a trained model, enough to use it anywhere.

    Attributes:
        model: in evaluation mode.
        task: the name of what it was trained on.
        text: the same for text; None for a task on symbols.
        step: optimiser steps taken.
        seed: of its trial, 0 where the configuration is not known.
        config: the configuration of its trial. In a file of an earlier version it is that of the config.yaml of its
            trial, and empty where there is none.
    """

    model: LitSeq2Seq
    task: str
    text: TextContent | None
    step: int
    seed: int
    config: dict[str, Any]


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then puts it there.

    Lightning writes it to the system's temporary folder: from there it cannot be moved to another disk in one step,
    and a killed process leaves it behind.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # torch, writing to a full disk itself, would not say so
        torch.save(checkpoint, content)
        with whole_file(Path(path)) as partial:
            partial.write_bytes(content.getbuffer())


class CarriedSettings(Callback):
    """Puts the model's class and options, the tokenizers and the configuration of the trial into every checkpoint."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, LitSeq2Seq)
        assert isinstance(data, Seq2SeqDataModule)
        checkpoint[KEY] = {
            "model": type(pl_module).__name__,
            "options": pl_module.options,
            "task": data.name,
            "text": None if data.text is None else _text_settings(data),
            "config": self.config,
        }


def _text_settings(data: Seq2SeqDataModule) -> dict[str, Any]:
    assert data.text is not None
    source, target = data.text.tokenizers
    return {
        "source_tokenizer": torch.frombuffer(bytearray(source.model), dtype=torch.uint8),
        "target_tokenizer": torch.frombuffer(bytearray(target.model), dtype=torch.uint8),
        "source_language": data.source_language,
        "target_language": data.target_language,
        "lowercase": data.lowercase,
    }


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file.

    Raises:
        UsageError: the file is missing, is no checkpoint, or is not of this suite.
        OSError: it could not be read this time; MemoryError likewise.
    """
    if not path.is_file():
        raise UsageError(f"--checkpoint: {path} does not exist or is no file")
    packed = io.BytesIO(path.read_bytes())  # so that a failing disk is told apart from a damaged file
    try:
        content = torch.load(packed, map_location="cpu", weights_only=True)
    except Exception as error:
        refused = out_of_memory(error)
        if refused is not None:
            raise MemoryError(refused) from error
        raise UsageError(f"--checkpoint: {path} is not a readable checkpoint") from None
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise UsageError(f"--checkpoint: {path} is not a checkpoint of this suite")
    return content


def load_weights(model: LitSeq2Seq, path: Path) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        UsageError: the file is missing, cannot be read, or belongs to another model.
    """
    _set_weights(model, read_checkpoint(path), path)


def _set_weights(model: LitSeq2Seq, content: dict[str, Any], path: Path) -> None:
    try:
        model.load_state_dict(content["state_dict"])
    except (RuntimeError, AttributeError):  # the latter of a name that is no text
        raise UsageError(
            f"--checkpoint: {path} does not fit {type(model).__name__} with these options; "
            "it was trained with another configuration"
        ) from None


def load_checkpoint(path: Path) -> Checkpoint:
    """A model from its checkpoint alone, in evaluation mode.

    Raises:
        UsageError: the file is missing, cannot be read, is not of this suite, or names a model that is not known here.
    """
    content = read_checkpoint(path)
    settings = content.get(KEY)
    if not isinstance(settings, dict):
        raise UsageError(f"--checkpoint: {path} is not a checkpoint of this suite")
    if str(settings.get("model")) not in architectures():
        raise UsageError(f"--checkpoint: {path} is of the model {settings.get('model')}, which is not known here")
    try:
        model = architectures()[settings["model"]](**settings["options"])
        text = None if settings["text"] is None else _text_content(settings["text"])
        task, step = str(settings["task"]), int(content.get("global_step", 0))
        config = settings["config"] if "config" in settings else _config_beside(path)
        seed, config["data"] = int(config.get("seed_everything", 0)), dict(config.get("data", {}))
    except Exception as error:  # whatever torch makes of odd options
        raise UsageError(
            f"--checkpoint: {path} is damaged or was written by another version: {reason(error)}"
        ) from None
    _set_weights(model, content, path)
    return Checkpoint(model.eval(), task, text, step, seed, config)


def _config_beside(path: Path) -> dict[str, Any]:
    config = path.resolve().parent.parent / "config.yaml"
    return dict(yaml.safe_load(config.read_text(encoding="utf-8"))) if config.is_file() else {}


def fits(content: dict[str, Any], model: LitSeq2Seq, data: Seq2SeqDataModule) -> bool:
    """Whether training can go on from a checkpoint: weights of the same shapes, tokens of the same meaning."""
    weights = {name: weight.shape for name, weight in model.state_dict().items()}
    if {name: weight.shape for name, weight in content["state_dict"].items()} != weights:
        return False
    return same_tokens(content, data)


def same_tokens(content: dict[str, Any], data: Seq2SeqDataModule) -> bool:
    """Whether tokens mean to a checkpoint what they mean in the data. Those of tasks on symbols mean nothing."""
    return same_sides(content, data) == (True, True)


def same_sides(content: dict[str, Any], data: Seq2SeqDataModule) -> tuple[bool, bool]:
    """The same of source and target, each by itself."""
    settings = content.get(KEY, {})
    carried = settings.get("text")
    theirs = _tokens(str(settings.get("task")), None if carried is None else _text_content(carried).tokenizers)
    ours = _tokens(data.task, None if data.text is None else data.text.tokenizers)
    return theirs[0] == ours[0], theirs[1] == ours[1]


def _tokens(task: str, tokenizers: tuple[Tokenizer, Tokenizer] | None) -> tuple[bytes, bytes]:
    """What tells apart what tokens of source and target mean."""
    if tokenizers is not None:
        return tokenizers[0].model, tokenizers[1].model
    words = WordTokenizer(TASKS[task].words).model if task in IN_WORDS else b""
    return words, words


def _text_content(settings: dict[str, Any]) -> TextContent:
    tokenizers = carried_tokenizers(settings)
    return TextContent(tokenizers, settings["source_language"], settings["target_language"], settings["lowercase"])
