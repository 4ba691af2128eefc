"""`lengthwise fit --help`: the options people use, on one screen or two; --help-all prints the rest."""

import argparse
import textwrap
from argparse import Action

from jsonargparse import ArgumentParser

from experiments.config.options import Option, choose_model
from experiments.config.parser import TrialCLI, trial_parser, typed_actions
from lit_models import architectures

COMMON = (
    "--config", "--seed_everything", "--runs", "--parameter_budget", "--threads", "--logger", "--wandb",
    "--wandb_artifacts", "--compile", "--accelerator", "--tf32", "--deterministic", "--cuda_graphs",
)  # fmt: skip
TRAINING = (
    "--trainer.max_steps", "--trainer.val_check_interval", "--trainer.gradient_clip_val", "--trainer.precision",
    "--trainer.devices", "--early_stopping.patience", "--early_stopping.stopping_threshold",
    "--gradients.every",
)  # fmt: skip
SHORTER = {
    "--config": "a YAML file of options; several of them, later ones win",
    "--seed_everything": "seed of weights, examples, their order and dropout",
    "--trainer.max_steps": "optimiser steps at most",
    "--trainer.val_check_interval": "optimiser steps between validations, each of which leaves a checkpoint",
    "--trainer.gradient_clip_val": "largest norm of the gradient",
    "--trainer.precision": "such as bf16-mixed",
    "--accelerator": "cpu, gpu or auto (default cpu)",
    "--trainer.devices": "how many GPUs, or processes on a CPU",
    "--early_stopping.patience": "validations without improvement before training ends",
    "--early_stopping.stopping_threshold": "validation loss at which the task counts as solved",
}


def full_help(verb: str, description: str) -> str:
    """Every option of a training verb, those of a model by way of example."""
    parser = TrialCLI(next(iter(architectures())), None).parser  # its own, as it is changed
    parser.prog, parser.description, parser.usage = f"lengthwise {verb}", description, "%(prog)s [options]"
    for action in parser._actions:
        if action.dest == "print_config" and verb != "fit":
            action.help = argparse.SUPPRESS
    return parser.format_help()


def model_help(name: str) -> str:
    """The options of an architecture.

    Raises:
        UsageError: no architecture has that name.
    """
    model, _ = choose_model([Option("", "model", name)])
    parser = ArgumentParser(prog="lengthwise fit", usage=argparse.SUPPRESS, add_help=False)
    parser.add_class_arguments(architectures()[model], "model", skip={"source_vocab_size", "target_vocab_size"})
    return parser.format_help()


def short_help(verb: str, description: str) -> str:
    """The help of a training verb. Whoever asks for it may misspell an option next, whatever the model."""
    for model in architectures():
        typed_actions(model)
    actions = {
        option: action
        for action in trial_parser(next(iter(architectures())))._actions
        for option in action.option_strings
    }
    data, decoding = (
        [option for option in actions if option.startswith(f"--{part}.") and not option.endswith(("+", ".help"))]
        for part in ("data", "decoding")
    )
    fits = verb == "fit"
    parts = [
        f"usage: lengthwise {verb} {'--model NAME' if fits else '--checkpoint FILE'} [options]",
        textwrap.fill(description, 110),
        f"models (--model): {', '.join(architectures())}\n"
        "  lengthwise fit --model.help NAME lists the options of a model, such as --model.hidden_size",
        _group("trial", [(option, actions[option]) for option in COMMON]),
        _group("data", [(option, actions[option]) for option in data]),
        _group("decoding of text", [(option, actions[option]) for option in decoding]),
        _group("training", [(option, actions[option]) for option in TRAINING]),
        "  --help-all prints every option of Lightning's Trainer, early stopping and checkpoints"
        + (";\n  --print_config prints the resolved configuration" if fits else ""),
    ]
    return "\n\n".join(parts)


def _group(title: str, options: list[tuple[str, Action]]) -> str:
    lines = [f"{title}:"]
    for option, action in options:
        text = SHORTER.get(option) or " ".join((action.help or "").replace("%%", "%").split()).rstrip(".")
        if action.default is not None and option != "--config":
            text += f" (default {str(action.default).lower() if isinstance(action.default, bool) else action.default})"
        lines.append(textwrap.fill(text, 110, initial_indent=f"  {option:38} ", subsequent_indent=" " * 41))
    return "\n".join(lines)
