"""What a trial is: a resolved configuration, and the name that follows from it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace

from data.datamodule import Seq2SeqDataModule
from data.tasks import SPLITS
from data.text import TextCorpus
from experiments.config.checks import check_graphs, check_numbers, check_settings, check_task
from experiments.config.monitors import check_monitor, direction
from experiments.config.parser import SOLVED, files_of, parse_trial, trial_parser
from experiments.config.widths import pick_width
from experiments.errors import UsageError
from experiments.trial.warm_start import fitting_weights, frozen_parameters, given_embeddings
from lit_models import LitSeq2Seq, architectures
from lit_models.decoding.decoder import Decoding
from lit_models.lit_module import embedding_files

# What says where and how a trial runs, not what it computes: not part of its name.
NOT_IN_NAME = (
    "config", "runs", "logger", "wandb", "wandb_artifacts", "threads", "parameter_budget", "gradients", "accelerator",
    "deterministic", "cuda_graphs",
)  # fmt: skip
NOT_IN_NAME_TRAINER = (
    "accelerator", "strategy", "devices", "num_nodes", "logger", "callbacks", "default_root_dir", "enable_progress_bar",
    "enable_model_summary", "enable_checkpointing", "profiler", "log_every_n_steps",
)  # fmt: skip

# Options that there were: they stay in the name of a trial, empty as they always were.
FORMER_OPTIONS, FORMER_TRAINER_OPTIONS = ("optimizer", "lr_scheduler"), ("plugins",)
# Options that came later, with the default at which they leave the name of a trial as it was before them.
LATER_OPTIONS = {
    ("early_stopping", "halvings"): 0, ("data", "bleu_tokenize"): None, ("data", "test_limit"): None,
    ("data", "train_limit"): None, ("data", "pad_to_multiple"): 1,
}  # fmt: skip
LATER_SWITCHES = ("tf32", "init_from", "freeze")

_texts: list[TextCorpus] = []  # what the last trial of text reads: those of a sweep read it once


@dataclass(frozen=True)
class Trial:
    """A resolved configuration and the name that follows from it.

    Attributes:
        name: name of the trial's folder.
        group: the same without the seed.
        config: the configuration as nested plain values.
        labels: arch, task, train_length and seed.
        cost: relative cost, steps x tokens a step, for estimates of the time.
    """

    name: str
    group: str
    config: dict[str, Any]
    labels: dict[str, Any]
    cost: float

    @property
    def folder(self) -> Path:
        """Where the trial lives."""
        return Path(self.config["runs"]) / self.name

    @property
    def kind(self) -> tuple[str, str, int]:
        """Trials that take about as long share it: architecture, task and length."""
        return self.labels["arch"], self.labels["task"], self.labels["train_length"]

    @property
    def portable(self) -> dict[str, Any]:
        """The configuration without where this machine keeps trials."""
        return {key: value for key, value in self.config.items() if key not in ("config", "runs")}


def resolve_trial(arguments: list[str]) -> Trial:
    """Read the options of a trial, fill in defaults and the matched width, and check them all.

    Raises:
        UsageError: one line that names the option. Nothing has been written then.
    """
    model, parsed = parse_trial(arguments)
    model_class = architectures()[model]
    check_numbers(parsed)
    files = {split: files_of(parsed, split) for split in SPLITS}
    data = checked("data", Seq2SeqDataModule, {**parsed.data.as_dict(), **files})
    checked("decoding", Decoding, parsed.decoding.as_dict())
    try:
        if data.text is not None:
            data.text.check(before=_texts[-1] if _texts else None)
            _texts[:] = [data.text]
        sizes = {"source_vocab_size": data.source_vocab_size, "target_vocab_size": data.target_vocab_size}
    except ValueError as error:
        raise UsageError(str(error)) from None
    options = {**parsed.model.as_dict(), **sizes}
    if parsed.parameter_budget is not None:
        if parsed.model.hidden_size != trial_parser(model).get_default("model.hidden_size"):
            raise UsageError(
                "--parameter_budget: it chooses model.hidden_size, which is given too; leave one of them out, "
                "or undo the budget of a configuration file with --parameter_budget null"
            )
        try:
            parsed.model.hidden_size, _ = pick_width(model_class, options, parsed.parameter_budget)
        except ValueError as error:
            raise UsageError(str(error)) from None
        parsed.parameter_budget = None
    else:
        with torch.device("meta"):
            checked("model", model_class, options)
    settle_trainer(parsed)
    check_settings(model, parsed)
    check_graphs(parsed)
    options = {**parsed.model.as_dict(), **sizes}  # with the width that was picked
    check_task(model_class, options, data)
    _check_warm_start(model_class, options, parsed, data)
    for group in ("early_stopping", "checkpoint"):
        check_monitor(group, parsed[group].monitor, parsed[group].mode, data, model_class, options)
    config = _plain(model, parsed)
    labels = {"arch": model, "task": data.name, "train_length": data.length, "seed": int(parsed.seed_everything)}
    cell = "{arch}-{task}-L{train_length}".format(**labels)
    text_key = None if data.text is None else data.text.key
    name = f"{cell}-s{labels['seed']}-{_fingerprint(config, text_key)}"
    seedless = {**config, "seed_everything": None, "data": {**config["data"], "seed": None}}
    group = f"{cell}-{_fingerprint(seedless, text_key)}"
    steps = parsed.trainer.max_steps * parsed.trainer.accumulate_grad_batches
    return Trial(name, group, config, labels, cost=steps * data.batch_tokens)


def _check_warm_start(
    model: type[LitSeq2Seq], options: dict[str, Any], parsed: Namespace, data: Seq2SeqDataModule
) -> None:
    if parsed.init_from is None and parsed.freeze is None and options["embeddings"] is None:
        return
    with torch.device("meta"):
        empty = model(**options)
    frozen_parameters(empty, parsed.freeze)
    if parsed.init_from is not None:
        fitting_weights(empty, Path(parsed.init_from), data)
    if options["embeddings"] is not None:
        given_embeddings(empty, data)


def _plain(model: str, parsed: Namespace) -> dict[str, Any]:
    """The options as nested plain values: what config.yaml holds, and what the name of a trial is made of."""
    # Valid, as it has been parsed and checked; and Python reads JSON much faster than YAML.
    dumped = trial_parser(model).dump(parsed, format="json", skip_unset=False, skip_validation=True)
    config = json.loads(dumped)
    config["model"] = {"class_path": model, "init_args": config["model"]}
    config["data"] |= {split: None for split in SPLITS if files_of(parsed, split) is None}
    return config


def checked(part: str, make: type, options: dict[str, Any]) -> Any:
    """Build something from options.

    Raises:
        UsageError: any complaint, in one line.
    """
    try:
        return make(**options)
    except (ValueError, TypeError, RuntimeError, OverflowError, MemoryError) as error:
        message = str(error).partition("\n")[0]
        raise UsageError(message if message.startswith(f"{part}.") else f"{part}: {message}") from None


def settle_trainer(parsed: Namespace) -> None:
    """Fill in what follows from other options, and check what is counted in steps.

    `accelerator` stands for `trainer.accelerator` and leaves nothing behind; `deterministic` asks the trainer for it.

    Raises:
        UsageError: one line that names the option.
    """
    if parsed.accelerator is not None:
        parsed.trainer.accelerator, parsed.accelerator = parsed.accelerator, None
    if parsed.deterministic:
        parsed.trainer.deterministic = True
    if parsed.trainer.max_steps < 1:
        raise UsageError(
            f"trainer.max_steps: {parsed.trainer.max_steps} must be at least 1; training is counted in steps"
        )
    if parsed.trainer.max_epochs not in (None, -1):
        raise UsageError("trainer.max_epochs: training is counted in steps here; use trainer.max_steps")
    interval = parsed.trainer.val_check_interval
    if not isinstance(interval, int) or interval < 1:
        raise UsageError(f"trainer.val_check_interval: {interval} must be a number of steps, at least 1")
    if parsed.gradients.every < 0:
        raise UsageError(f"gradients.every: {parsed.gradients.every} must be at least 0, which measures nothing")
    stopping = parsed.early_stopping
    if stopping.monitor != "validation/loss" and stopping.stopping_threshold == SOLVED:
        stopping.stopping_threshold = None  # the default is a loss; as a BLEU it would end training at once
    for chosen in (stopping, parsed.checkpoint):
        chosen.mode = chosen.mode or direction(chosen.monitor)
    # A short run is validated once, at its end: without that no checkpoint would be chosen.
    parsed.trainer.val_check_interval = min(interval, parsed.trainer.max_steps)


def _fingerprint(config: dict[str, Any], text_key: str | None) -> str:
    """Eight hexadecimal digits of the configuration, less what does not change the result.

    Files, of text, of weights and of vectors to begin with, count by their content, not by where they lie.
    """
    kept = {key: value for key, value in config.items() if key not in NOT_IN_NAME}
    kept |= dict.fromkeys(FORMER_OPTIONS)
    kept = {key: value for key, value in kept.items() if value or key not in LATER_SWITCHES}
    if text_key is not None:
        kept["data"] = {**config["data"], **dict.fromkeys(SPLITS, text_key)}
    if config["init_from"] is not None:
        kept["init_from"] = _hash_of(config["init_from"])
    if Path(config["data"]["tokenizer"]).is_file():
        kept["data"] = {**kept["data"], "tokenizer": _hash_of(config["data"]["tokenizer"])}
    options = dict(config["model"]["init_args"])
    if files := options.pop("embeddings", None):
        options["embeddings"] = [path and _hash_of(path) for path in embedding_files(files)]
    kept["model"] = {**config["model"], "init_args": options}
    for (group, option), default in LATER_OPTIONS.items():
        if kept[group].get(option) == default:
            kept[group] = {key: value for key, value in kept[group].items() if key != option}
    kept["trainer"] = {key: value for key, value in config["trainer"].items() if key not in NOT_IN_NAME_TRAINER}
    kept["trainer"] |= dict.fromkeys(FORMER_TRAINER_OPTIONS)
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


def _hash_of(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
