"""A checkpoint put to use: what it carries decides what tokens mean, and options decide the rest."""

from typing import Any, NamedTuple

import lightning.pytorch as pl

from data.batch import FIRST_TOKEN
from data.datamodule import EVERY_TASK, TEXT, Seq2SeqDataModule
from data.tasks import SPLITS
from data.text_tasks import TEXT_TASKS
from experiments.config.checks import check_numbers, check_settings, check_task
from experiments.config.options import options_of, read_options
from experiments.config.parser import files_of, parse_options
from experiments.config.trial import checked, settle_trainer
from experiments.errors import UsageError
from experiments.trial.checkpoints import Checkpoint
from experiments.trial.environment import set_arithmetic
from lit_models.decoding.decoder import Decoding

# Options besides those of the model that a checkpoint has settled.
SETTLED = (
    "parameter_budget", "data.task", "data.vocabulary", "data.tokenizer", "data.joint_tokenizer", "data.byte_fallback",
    "data.lowercase", "data.source_language", "data.target_language",
)  # fmt: skip


class Use(NamedTuple):
    """What a checkpoint is used with."""

    data: Seq2SeqDataModule
    decoding: Decoding
    trainer: pl.Trainer
    threads: int | None


def resolve_use(checkpoint: Checkpoint, arguments: list[str], split: str) -> Use:
    """Read options that say what a checkpoint is used on; those not given are the ones it was trained with.

    Args:
        checkpoint: a trained model; text is read with its tokenizers.
        arguments: of the command line, without the checkpoint itself.
        split: the one that is looked at. Of text the others need not be there.

    Raises:
        UsageError: one line that names the option, also where it contradicts what the checkpoint carries.
    """
    carried, given = options_of(_carried(checkpoint)), read_options(arguments)
    model, trained = parse_options(carried)
    parts = ("data.task", "data.corpus", f"data.{split}.")  # of where text comes from, which is replaced as a whole
    if any(option.name.startswith(parts) and option.value != trained.get(option.name) for option in given):
        carried = [option for option in carried if not option.name.startswith(parts[1:])]
    name, asked = parse_options([*carried, *given])
    if name != model:
        raise UsageError(f"--model: {name} contradicts the checkpoint, which is of {model}; leave the option out")
    for name in (*(f"model.{option}" for option in asked.model.as_dict()), *SETTLED):
        if _kind(asked[name]) != _kind(trained[name]):
            where = next((option.where for option in reversed(given) if option.name == name), "")
            raise UsageError(
                f"{where}--{name}: {asked[name]} contradicts the checkpoint, which was trained with {trained[name]}; "
                "leave the option out"
            )
    check_numbers(asked)
    files = {one: files_of(asked, one) if one == split else None for one in SPLITS}
    data = checked("data", Seq2SeqDataModule, {**asked.data.as_dict(), **files})
    decoding = checked("decoding", Decoding, asked.decoding.as_dict())
    if checkpoint.text is not None:
        data.text.tokenizers = checkpoint.text.tokenizers
        try:
            data.text.check([split])
        except ValueError as error:
            raise UsageError(str(error)) from None
    check_task(type(checkpoint.model), checkpoint.model.options, data)
    settle_trainer(asked)
    check_settings(model, asked)
    set_arithmetic(asked.tf32, bool(asked.trainer.deterministic))
    return Use(data, decoding, pl.Trainer(**asked.trainer.as_dict()), asked.threads)


def _kind(value: object) -> object:
    """All tasks on text are one: any text is read with the tokenizers of the checkpoint."""
    return TEXT if value in TEXT_TASKS else value


def _carried(checkpoint: Checkpoint) -> dict[str, Any]:
    """The configuration of a checkpoint. What it knows of itself counts before one that stands beside it."""
    sizes = ("source_vocab_size", "target_vocab_size")
    options = {name: value for name, value in checkpoint.model.options.items() if name not in sizes}
    data = dict(checkpoint.config["data"])
    if checkpoint.task in EVERY_TASK:
        data["task"] = checkpoint.task
    else:
        data |= {"task": TEXT, "corpus": checkpoint.task}
    if checkpoint.text is None:
        data["vocabulary"] = checkpoint.model.source_vocab_size - FIRST_TOKEN
    else:
        _, data["source_language"], data["target_language"], data["lowercase"] = checkpoint.text
    return {
        **checkpoint.config,
        "model": {"class_path": type(checkpoint.model).__name__, "init_args": options},
        "data": data,
    }
