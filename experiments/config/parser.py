"""The options of a trial: one LightningCLI parser, and its complaints in one line each."""

import functools
import logging
import os
import re
import typing
import warnings
from argparse import Action, ArgumentError
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Any, Literal

import lightning.pytorch as pl
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from data.datamodule import Seq2SeqDataModule
from data.parallel_text import ParallelFiles
from data.tasks import SPLITS
from experiments.config.options import Option, choose_model, read_options
from experiments.config.remembered import remember_options, unknown_option
from experiments.errors import UsageError
from experiments.trial.callbacks import EarlyStopping, ModelCheckpoint
from lit_models import architectures
from lit_models.decoding.decoder import Decoding

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
warnings.filterwarnings("ignore", message=".*does not have many workers.*")
warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # a trial continued
os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # they concern Lightning's own calls

TRAINER_DEFAULTS = {
    "max_steps": 2000,
    "max_epochs": -1,
    "val_check_interval": 100,
    "check_val_every_n_epoch": None,
    "gradient_clip_val": 1.0,
    "log_every_n_steps": 20,
    "accelerator": "cpu",  # small models are mostly faster there, and every machine has one
    "devices": 1,
    "logger": False,
    "enable_progress_bar": False,  # the suite's own bar counts steps, not epochs
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


SOLVED = 0.002  # validation loss at which a task counts as solved
# Options of the Trainer of which Lightning also takes objects: here they are words and switches.
PROFILERS = Literal["simple", "advanced", "pytorch"]
PLAIN_TRAINER_OPTIONS = {"accelerator": str, "strategy": str, "logger": bool | None, "profiler": PROFILERS | None}
# Options that configurations of earlier versions have with the value null.
FORMER_OPTIONS = (
    "optimizer", "lr_scheduler", "trainer.callbacks", "trainer.plugins", *(f"data.{split}" for split in SPLITS),
)  # fmt: skip
WHOLE_NUMBER = re.compile(r"-?\d+\.0")  # as a W&B agent writes one


class TrialCLI(LightningCLI):
    """LightningCLI over the one DataModule and one architecture. No option takes a class or an object.

    Args:
        model: name of the architecture.
        config: a resolved configuration, from which trainer, model and data are made; None makes the parser only.
    """

    def __init__(self, model: str, config: Namespace | None) -> None:
        self._model = model
        self._given = config
        super().__init__(
            architectures()[model],
            Seq2SeqDataModule,
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults=TRAINER_DEFAULTS,
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # no model keeps hyperparameters; config.yaml has them
        )

    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        if self._given is None:
            super().setup_parser(*args, **kwargs)
        else:
            self.parser = trial_parser(self._model)

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        objects: set[str | int] = {*PLAIN_TRAINER_OPTIONS, "callbacks", "plugins"}
        parser.add_class_arguments(pl.Trainer, "trainer", fail_untyped=False, instantiate=False, skip=objects)
        for name, kind in PLAIN_TRAINER_OPTIONS.items():
            default = "auto" if kind is str else None
            parser.add_argument(f"--trainer.{name}", type=kind, default=default)
        parser.set_defaults({f"trainer.{name}": value for name, value in self.trainer_defaults.items()})
        parser.add_class_arguments(architectures()[self._model], "model", fail_untyped=False)
        parser.add_class_arguments(Seq2SeqDataModule, "data", fail_untyped=False, skip={*SPLITS})
        for split in SPLITS:
            for side in ("source", "target"):
                text = f"files of {split}, one segment a line; without target tab-separated, source first"
                parser.add_argument(f"--data.{split}.{side}", type=list[str] | str | None, default=None, help=text)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--runs", type=str, default="runs", help="folder in which the trial's own folder is made")
        parser.add_argument(
            "--parameter_budget",
            type=int | None,
            default=None,
            help="choose model.hidden_size so that the model has this many parameters, within 10%%",
        )
        parser.add_argument(
            "--logger",
            type=Literal["wandb", "tensorboard", "mlflow", "csv"] | None,
            default=None,
            help="log to wandb, tensorboard, mlflow or csv as well as to the trial's folder",
        )
        parser.add_argument("--wandb", type=bool, default=False, help="log to W&B; WANDB_MODE says how")
        parser.add_argument(
            "--wandb_artifacts", type=bool, default=False, help="give W&B the best checkpoint and the tokenizer too"
        )
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="a checkpoint whose weights training begins with, as far as they fit by name and shape",
        )
        parser.add_argument(
            "--freeze",
            type=list[str] | str | None,
            default=None,
            help="parameters that are not trained, by patterns of their names, such as 'source_embedding.*'",
        )
        parser.add_argument("--compile", type=bool, default=False, help="torch.compile the model")
        parser.add_argument(
            "--cuda_graphs",
            type=bool,
            default=False,
            help="replay the kernels of a training step on a GPU, where batches have few shapes; gave 3 to 19 times as "
            "many steps a second",
        )
        parser.add_argument(
            "--accelerator", type=str | None, default=None, help="cpu, gpu or auto; short for --trainer.accelerator"
        )
        parser.add_argument(
            "--tf32", type=bool, default=False, help="let a GPU round the factors of float32 products to TF32"
        )
        parser.add_argument(
            "--deterministic",
            type=bool,
            default=False,
            help="give the same bits again on a GPU too, which exact resuming needs; on a CPU they are the same anyway",
        )
        parser.add_argument("--threads", type=int | None, default=None, help="CPU threads; null leaves it to torch")
        parser.add_argument(
            "--gradients.every",
            type=int,
            default=0,
            help="steps between two measurements of gradient flow, kept in gradients.csv; 0 measures nothing",
        )
        parser.add_class_arguments(Decoding, "decoding")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "early_stopping.monitor": "validation/loss",
                "early_stopping.mode": None,  # that of the monitor
                "early_stopping.patience": 10,
                "early_stopping.stopping_threshold": SOLVED,
                "checkpoint.monitor": "validation/loss",
                "checkpoint.mode": None,
                "checkpoint.filename": "best",
                "checkpoint.save_last": True,
                "checkpoint.enable_version_counter": False,
            }
        )
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        for side in ("source", "target"):
            parser.link_arguments(f"data.{side}_vocab_size", f"model.{side}_vocab_size", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = self._given or Namespace(seed_everything=False)

    def instantiate_classes(self) -> None:
        if self._given is not None:
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The Trainer. Options count optimiser steps; Lightning counts batches between validations."""
        options = self._get(self.config_init, "trainer")
        interval = options["val_check_interval"] * options["accumulate_grad_batches"]
        return super().instantiate_trainer(callbacks=[], val_check_interval=interval, **kwargs)


@functools.cache
def trial_parser(model: str) -> ArgumentParser:
    """The parser of `lengthwise fit` for one architecture."""
    return TrialCLI(model, None).parser


@functools.cache
def typed_actions(model: str) -> dict[str, Action]:
    """The options of `lengthwise fit` for one architecture, by name. They are remembered."""
    actions = {action.dest: action for action in trial_parser(model)._actions if hasattr(action, "_typehint")}
    remember_options(model, list(actions))
    return actions


def parse_trial(arguments: list[str]) -> tuple[str, Namespace]:
    """Parse the options of a trial.

    Returns:
        The name of the architecture, and the options; those of the architecture under `model`.

    Raises:
        UsageError: one line that names the option.
    """
    return parse_options(read_options(arguments))


def parse_options(options: list[Option]) -> tuple[str, Namespace]:
    """The same of options that have been read."""
    model, options = choose_model(options)
    return model, _parsed(model, options)


def make_cli(config: dict[str, Any]) -> TrialCLI:
    """Trainer, model and data of a resolved configuration."""
    model = config["model"]["class_path"]
    data = {name: value for name, value in config["data"].items() if name not in SPLITS or value is not None}
    parsed = trial_parser(model).parse_object({**config, "model": config["model"]["init_args"], "data": data})
    for split in SPLITS:
        parsed.data[split] = files_of(parsed, split)
    return TrialCLI(model, parsed)


def files_of(parsed: Namespace, split: str) -> ParallelFiles | None:
    """The files of a split of text, if it has any."""
    files = parsed.data[split].as_dict()
    return None if files["source"] is None and files["target"] is None else ParallelFiles(**files)


def _parsed(model: str, options: Iterable[Option]) -> Namespace:
    parser = trial_parser(model)
    actions = typed_actions(model)
    given: dict[str, Option] = {}
    values = Namespace()
    for option in options:
        if option.name in actions:
            given[option.name] = option
            values[option.name] = _respelt(option, actions[option.name])
        elif option.value not in (None, "null") or option.name not in FORMER_OPTIONS:
            raise UsageError(_unknown(option, model, list(actions)))
    try:
        return parser.parse_object(values)
    except (ArgumentError, ValueError, RecursionError) as error:
        key = re.search(r'Parser key "([\w.]+)"', message := " ".join(str(error).split()))
        if key is None or key[1] not in given:
            raise UsageError(message[:300]) from None
        option = given[key[1]]
        if option.value in (None, "null"):
            raise UsageError(f"{option.where}{option.name}: null is not a value for it") from None
        kind = _kind(actions[option.name]._typehint)  # type: ignore[attr-defined]
        raise UsageError(f"{option.where}--{option.name}: {str(option.value).strip()[:200]} is not {kind}") from None


def _respelt(option: Option, action: Action) -> Any:
    """A value as the parser reads it: a W&B agent writes --name=None for null, and --name=256.0 for a whole number."""
    kind = action._typehint  # type: ignore[attr-defined]
    whole = set(typing.get_args(kind) or (kind,)) in ({int}, {int, NoneType}, {int, bool})
    if option.joined and option.value == "None":
        return None
    if option.joined and whole and WHOLE_NUMBER.fullmatch(str(option.value)):
        return str(option.value).removesuffix(".0")
    return option.value


def _kind(typehint: Any) -> str:
    """A type as people say it; of several, such as a number or nothing, the first."""
    if typing.get_origin(typehint) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(typehint)))
    if typing.get_origin(typehint) in (typing.Union, UnionType):
        return _kind(typing.get_args(typehint)[0])
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}
    return names.get(typehint, str(typehint))


def _unknown(option: Option, model: str, valid: list[str]) -> str:
    dashes = "--" if not option.where or option.name.startswith("model.") else ""
    group = [name for name in valid if name.startswith(f"{option.name}.")]
    if group:
        return (
            f"{option.where}{dashes}{option.name}: {option.value} cannot be given; its options are such as {group[0]}"
        )
    return unknown_option(option.where, option.name, model, valid)
