"""The options of a trial: one LightningCLI parser, and its complaints in one line each."""

import difflib
import functools
import itertools
import logging
import os
import re
import warnings
from argparse import ArgumentError
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from data.datamodule import Seq2SeqDataModule
from experiments.config.agent_arguments import as_spelt, in_order
from experiments.config.decoding_options import Decoding
from experiments.errors import UsageError
from experiments.trial.callbacks import EarlyStopping, ModelCheckpoint
from lit_models import LitSeq2Seq, architectures

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
    "devices": 1,
    "logger": False,
    "enable_progress_bar": False,  # the suite's own bar counts steps, not epochs
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


SOLVED = 0.002  # validation loss at which a task counts as solved


class TrialCLI(LightningCLI):
    """LightningCLI over the one DataModule and every architecture.

    Args:
        config: a resolved configuration, from which trainer, model and data are made; None makes the parser only.
    """

    def __init__(self, config: Namespace | None) -> None:
        self._given = config
        architectures()  # imports them, so that their names are known
        super().__init__(
            LitSeq2Seq,
            Seq2SeqDataModule,
            subclass_mode_model=True,
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults=TRAINER_DEFAULTS,
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
            run=False,
            load_from_checkpoint_support=False,  # no model keeps hyperparameters; config.yaml has them
        )

    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        if self._given is None:
            super().setup_parser(*args, **kwargs)
        else:
            self.parser = trial_parser()

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--runs", type=str, default="runs", help="folder in which the trial's own folder is made")
        parser.add_argument(
            "--parameter_budget",
            type=int | None,
            default=None,
            help="choose model.hidden_size so that the model has this many parameters, within 10%%",
        )
        parser.add_argument("--wandb", type=bool, default=False, help="log to W&B; WANDB_MODE says how")
        parser.add_argument(
            "--wandb_artifacts", type=bool, default=False, help="give W&B the best checkpoint and the tokenizer too"
        )
        parser.add_argument("--compile", type=bool, default=False, help="torch.compile the model")
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
                "early_stopping.patience": 10,
                "early_stopping.stopping_threshold": SOLVED,
                "checkpoint.monitor": "validation/loss",
                "checkpoint.filename": "best",
                "checkpoint.save_last": True,
                "checkpoint.enable_version_counter": False,
            }
        )
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        for side in ("source", "target"):
            parser.link_arguments(
                f"data.{side}_vocab_size", f"model.init_args.{side}_vocab_size", apply_on="instantiate"
            )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = self._given or Namespace(seed_everything=False)

    def instantiate_classes(self) -> None:
        if self._given is not None:
            super().instantiate_classes()


@functools.cache
def trial_parser() -> ArgumentParser:
    """The parser of `lengthwise fit`."""
    return TrialCLI(None).parser


def parse_trial(arguments: list[str]) -> Namespace:
    """Parse the options of a trial.

    Raises:
        UsageError: one line that names the option.
    """
    arguments = in_order(as_spelt(arguments, trial_parser()))
    try:
        return trial_parser().parse_args(arguments)
    except ArgumentError as error:
        raise UsageError(_one_line(str(error), arguments)) from None


def parse_config(config: dict[str, Any]) -> Namespace:
    """A resolved configuration, as a nested dictionary, back into the parser's form."""
    return trial_parser().parse_object(config)


def _one_line(message: str, arguments: list[str]) -> str:
    """The gist of a jsonargparse message, which can take sixty lines."""
    if match := re.search(r"unrecognized arguments: ([^\s=]+)", message):
        return _unknown_option(match[1], [*_trial_options(), *_model_options(arguments)])
    if match := re.search(r"class_path '[\w.]*?(\w+)':.*?Option '([\w.]+)' is not accepted", message, re.S):
        options = _options_of(match[1])
        return f"{_unknown_option(f'--model.{match[2]}', options)} ({match[1]} has no such option)"
    if match := re.search(r"Expected a dot import path string: (\S+)|Unexpected import path format: (\S+)", message):
        return unknown_model(match[1] or match[2])
    if "LitSeq2Seq is abstract" in message or "arguments are required: model" in message:
        return f"--model: say which architecture: {', '.join(architectures())}"
    if match := re.search(r"File does not exist: '(.*)'", message):
        return f"--config: {match[1]} does not exist"
    if message.startswith("Unexpected config:"):
        return "--config: is empty; name a YAML file"
    if match := re.search(r"Problems parsing config:.*line (\d+)", message, re.S):
        return f"--config: {_config_hint(arguments)}not valid YAML near line {match[1]}"
    if match := re.search(r"(?:Group '([\w.]+)' does not accept option|^Option) '([\w.]+)'", message):
        option = ".".join(filter(None, match.groups()))
        return _config_hint(arguments) + _unknown_option(option, [each[2:] for each in _trial_options()])
    given = re.search(r"Given value: (\S+)$", message) if 'key "model"' in message else None
    if given and given[1].isidentifier() and given[1] not in architectures():
        return unknown_model(given[1])
    if expected := re.findall(r'Parser key "([\w.]+)":\s+(?:[^"]*?)Expected an? (.+?)\. Got value: (.*)', message):
        key, kind, value = expected[-1]
        prefix = "model." if 'Parser key "model"' in message else ""
        return f"--{prefix}{key}: {value.strip()} is not {_kind(kind)}"
    if union := re.search(r'Parser key "([\w.]+)":.*?Expected an? (\S.*?)\n.*Given value: (.*)$', message, re.S):
        key, kind, value = union.groups()  # of several types, such as a number or nothing, the first
        return f"--{key}: {value.strip()} is not {_kind(kind)}"
    return re.sub(r'^Parser key "([\w.]+)":', r"--\1:", re.sub(r"\s+", " ", message))[:300]


def _kind(kind: str) -> str:
    """A type as people say it: `<class 'int'>` is an integer, a Literal one of its values."""
    if literal := re.match(r"typing.Literal\[(.*)\]", kind):
        return "one of " + literal[1].replace("'", "")
    names = {"int": "an integer", "float": "a number", "bool": "true or false", "str": "a text"}
    name = re.sub(r"<class '(.*)'>", r"\1", kind)
    return names.get(name, name)


def _unknown_option(option: str, valid: list[str]) -> str:
    near = difflib.get_close_matches(option, valid, n=1)
    hint = f"did you mean {near[0]}?" if near else "see lengthwise fit --help"
    return f"{option} is not an option; {hint}"


def unknown_model(name: str) -> str:
    """What to say of a model name nobody has."""
    names = list(architectures())
    near = difflib.get_close_matches(name.lower(), [each.lower() for each in names], n=1)
    hint = "".join(f"did you mean {each}? " for each in names if [each.lower()] == near)
    return f"--model: '{name}' is unknown; {hint}The models are {', '.join(names)}"


def _trial_options() -> list[str]:
    return [option for option in trial_parser()._option_string_actions if option.startswith("--")]


def _options_of(model: str) -> list[str]:
    """Options of a model as written on the command line."""
    if model not in architectures():
        return []
    from jsonargparse import ArgumentParser as Parser

    parser = Parser()
    parser.add_class_arguments(architectures()[model], "model")
    return [option for option in parser._option_string_actions if option.startswith("--model.")]


def _model_options(arguments: list[str]) -> list[str]:
    named = [value for value in " ".join(arguments).replace("=", " ").split() if value in architectures()]
    return _options_of(named[0]) if named else []


def _config_hint(arguments: list[str]) -> str:
    """Name the configuration file, and the version that wrote it if it says so."""
    joined = " ".join(arguments).replace("=", " ").split()
    paths = [Path(after) for before, after in itertools.pairwise(joined) if before == "--config"]
    for path in paths:
        first = path.read_text(errors="replace").partition("\n")[0] if path.is_file() else ""
        written_by = re.match(r"# lengthwise (\S+)", first)
        return f"{path}{f' (written by version {written_by[1]})' if written_by else ''}: "
    return ""
