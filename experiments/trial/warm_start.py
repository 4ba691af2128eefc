"""Training that begins from the weights of another model, and weights that stay as they are."""

import fnmatch
from pathlib import Path

from torch import Tensor

from data.datamodule import Seq2SeqDataModule
from data.tasks import IN_WORDS
from experiments.errors import UsageError
from experiments.trial.checkpoints import KEY, read_checkpoint, same_sides
from lit_models import LitSeq2Seq

OF_TARGET = {"target_embedding", "output"}  # the parts in which each target token has weights of its own
SHOWN = 6  # weights that a message names


def fitting_weights(model: LitSeq2Seq, path: Path, data: Seq2SeqDataModule) -> tuple[dict[str, Tensor], str]:
    """The weights of a checkpoint that have the name and the shape of one of the model, and a line on what was taken.

    Where target tokens are others, such as the classes that a model is fine-tuned on, what belongs to them is new.

    Raises:
        UsageError: in one line. The file is no checkpoint, or no matrix of it fits; vectors alone do not count: the
            biases of an output layer are as many whatever the width is. Or source tokens are words, and others.
    """
    try:
        content = read_checkpoint(path)
    except UsageError as error:
        raise UsageError(str(error).replace("--checkpoint", "--init_from", 1)) from None
    settings = content.get(KEY)
    if not isinstance(settings, dict):
        raise UsageError(f"--init_from: {path} is not a checkpoint of this suite")
    same_source, same_target = same_sides(content, data)
    if not same_source and (data.text is not None or data.task in IN_WORDS):
        remedy = f"--data.tokenizer {path} reads text in its tokens"
        if data.task in IN_WORDS:
            remedy = f"begin with a checkpoint of this task, or of one pre-trained with --data.corpus {data.task}"
        raise UsageError(f"--init_from: the words of {path} are not those of this trial; {remedy}")
    own, given = model.state_dict(), content["state_dict"]
    taken = {
        name: weight
        for name, weight in given.items()
        if name in own and own[name].shape == weight.shape
        if same_target or OF_TARGET.isdisjoint(name.split(".")) or len(weight) != model.target_vocab_size
    }
    missing = [f"{name} ({_difference(own[name], given.get(name))})" for name in own if name not in taken]
    unused = [f"{name} (not here)" for name in given if name not in own]
    if not any(weight.dim() > 1 for weight in taken.values()):
        theirs = _described(str(settings.get("model")), settings.get("options", {}))
        ours = _described(type(model).__name__, model.options)
        raise UsageError(f"--init_from: no weight of {path} fits; it is of {theirs}, and this trial of {ours}")
    left = missing + unused
    named = f"; not taken: {', '.join(left[:SHOWN])}{', …' if len(left) > SHOWN else ''}" if left else ""
    return taken, f"--init_from: {len(taken)} of {len(own)} weights are those of {path}{named}"


def frozen_parameters(model: LitSeq2Seq, patterns: list[str] | str | None) -> list[str]:
    """The names of the parameters that match a pattern such as `encoder.*`.

    Raises:
        UsageError: in one line. A pattern matches none, or nothing is left to train.
    """
    names, frozen = [name for name, _ in model.named_parameters()], set[str]()
    for pattern in [patterns] if isinstance(patterns, str) else patterns or []:
        matching = set(fnmatch.filter(names, pattern))
        if not matching:
            first = ", ".join(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in names))
            raise UsageError(f"--freeze: {pattern} matches no parameter of {type(model).__name__}; there are {first}")
        frozen |= matching
    if len(frozen) == len(names):
        raise UsageError(f"--freeze: {patterns} leaves nothing to train")
    return [name for name in names if name in frozen]


def freeze(model: LitSeq2Seq, patterns: list[str] | str | None) -> None:
    """Keep the parameters that match as they are."""
    for name in frozen_parameters(model, patterns):
        model.get_parameter(name).requires_grad_(False)


def _difference(own: Tensor, given: Tensor | None) -> str:
    here = " x ".join(map(str, own.shape))
    there = "" if given is None else " x ".join(map(str, given.shape))
    return "not there" if given is None else "of other tokens" if there == here else f"{there} there, {here} here"


def _described(model: str, options: dict[str, object]) -> str:
    named = ("hidden_size", "source_vocab_size", "target_vocab_size")
    return f"{model} with " + ", ".join(f"{name} {options[name]}" for name in named if name in options)
