"""`lengthwise gradients`: how much of the learning signal reaches a source token, before and after training."""

import argparse
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from analysis.tables.architectures import Architectures
from analysis.tables.schema import EMBEDDING_GRADIENT, GRADIENTS, JACOBIAN
from data.batch import FIRST_TOKEN, Batch
from data.batching import ExampleStore
from data.tasks import TASKS, alphabet, generate
from experiments.config.arguments import OneLineParser, require_architectures, require_at_least, require_threads
from experiments.config.widths import pick_width, vocabulary_sizes
from experiments.errors import UsageError
from experiments.probes.gradient_table import Row, Subject, variant, write_table
from experiments.probes.probe_folder import probe_folder, write_origin
from experiments.trial.checkpoints import load_checkpoint
from lit_models import LitSeq2Seq, architectures
from lit_models.probes.gradient_flow import curve, distances, embedding_gradients, jacobian_norms, spaced_distances

JACOBIAN_SEQUENCES = 16  # at most: a Jacobian costs far more than a gradient and varies little between sequences
JACOBIAN_DISTANCES = 8


class Probed(NamedTuple):
    """A model to measure.

    Attributes:
        model: in evaluation mode.
        origin: where it comes from, as errors name it: an option, with the file if it is one.
        task: what it is measured on.
        vocabulary: symbols of the task.
        seed: of its weights; its examples are drawn from it too.
        phase: initial or trained.
        step: optimiser steps taken.
    """

    model: LitSeq2Seq
    origin: str
    task: str
    vocabulary: int
    seed: int
    phase: str
    step: int


def main(arguments: list[str]) -> int:
    """Measure, write gradients.csv and the figures, and print what was found.

    Raises:
        UsageError: bad input, in one line.
    """
    options = _parser().parse_args(arguments)
    _check(options)
    torch.set_num_threads(options.threads)
    lengths = sorted(set(options.lengths))
    probed = [*_trained(options.checkpoint), *_initial(options)]
    for model in probed:
        _try(model, lengths, options.position)
        _tell_apart(model, lengths, options.sequences)
    with probe_folder(options.output):
        rows = _measure_all(probed, lengths, options)
        write_table(options.output / GRADIENTS.file, rows)
        stated = write_origin(options.output, [type(one.model) for one in probed], "cpu")
        table = _write_figures(rows, options.output, stated)
    print(table)
    for name in ("gradients.csv", "gradients.md", "figures"):
        print((options.output / name).as_posix())
    return 0


def _check(options: argparse.Namespace) -> None:
    for name in ("seeds", "sequences", "vocabulary", "parameter_budget", "hidden_size"):
        value = getattr(options, name)
        if value is not None:
            require_at_least(name, value, 1)
    require_threads(options.threads)
    require_at_least("lengths", min(options.lengths), 1)
    require_at_least("position", options.position, 0)
    require_architectures(options.models or [])


def _initial(options: argparse.Namespace) -> Iterator[Probed]:
    """Every architecture asked for, at initialisation, with each seed."""
    vocabulary = alphabet(options.task, options.vocabulary)
    for name in options.models or architectures():
        make, settings = architectures()[name], vocabulary_sizes(vocabulary)
        width = options.hidden_size or pick_width(make, settings, options.parameter_budget)[0]
        for seed in range(options.seeds):
            try:
                model = initial_model(make, {**settings, "hidden_size": width}, seed)
            except ValueError as error:
                raise UsageError(f"--hidden_size: {name}: {error}") from None
            yield Probed(model, "--models", options.task, vocabulary, seed, "initial", 0)


def initial_model(make: type[LitSeq2Seq], options: dict[str, Any], seed: int) -> LitSeq2Seq:
    """A model with the weights that a trial of this seed begins with; the random state stays what it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(**options).eval()


def _trained(paths: list[Path]) -> Iterator[Probed]:
    """The models of checkpoints, each on the task it was trained on."""
    seen: dict[tuple[object, ...], Path] = {}
    for path in paths:
        model, task, text, step, seed, _ = load_checkpoint(path)
        if text is not None or task not in TASKS:
            raise UsageError(
                f"--checkpoint: {path} was trained on {task}, which is text; lengthwise fit --gradients.every N "
                "measures it while it trains"
            )
        other = seen.setdefault((type(model), variant(model), task, seed), path)
        if other is not path:
            raise UsageError(
                f"--checkpoint: {other} and {path} are both {type(model).__name__}, {task}, seed {seed}; "
                "give only one of them"
            )
        vocabulary = model.source_vocab_size - FIRST_TOKEN
        yield Probed(model, f"--checkpoint: {path}", task, vocabulary, seed, "trained", step)


def _try(probed: Probed, lengths: list[int], position: int) -> None:
    """Find out with one sequence, before time is spent and files are written, whether a model takes these lengths."""
    for length in {lengths[0], lengths[-1]}:
        batch = _examples(probed, length, 1)
        target = int(batch.target_out.shape[1])
        if position >= target:
            raise UsageError(
                f"--position: {position} does not exist; at length {length} a target of {probed.task} has {target} "
                "tokens, EOS included, counted from 0"
            )
        try:
            embedding_gradients(probed.model, batch, position)
        except (ValueError, IndexError) as error:
            raise UsageError(f"{probed.origin} cannot take length {length}: {error}") from None


def _tell_apart(probed: Probed, lengths: list[int], count: int) -> None:
    """Refuse lengths at which sources have equally many tokens: these are what a table tells them by."""
    seen: dict[int, int] = {}
    for length in lengths:
        tokens = _examples(probed, length, count).source.shape[1]
        other = seen.setdefault(tokens, length)
        if other != length:
            raise UsageError(
                f"--lengths: at {other} and at {length} a source of {probed.task} has {tokens} tokens; give only one"
            )


def _examples(probed: Probed, length: int, count: int) -> Batch:
    """Validation examples, which a trial of this seed has not been trained on."""
    return _drawn(probed.task, probed.vocabulary, length, count, probed.seed)


@functools.cache  # all architectures of a seed get the same ones, and lengths are told apart by them before
def _drawn(task: str, vocabulary: int, length: int, count: int, seed: int) -> Batch:
    try:
        examples = generate(task, vocabulary, length, length, count, seed, "validation")
    except ValueError as error:
        message = str(error).replace("data.length", "--lengths").replace("data.vocabulary", "--vocabulary")
        raise UsageError(message) from None
    return ExampleStore(examples).batch(np.arange(count))


def _measure_all(probed: list[Probed], lengths: list[int], options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    calm = 0.1 if sys.stderr.isatty() else 10.0  # a log file wants few lines
    with tqdm(total=len(probed) * sum(lengths), unit="step", dynamic_ncols=True, mininterval=calm) as bar:
        for one in probed:
            bar.set_description_str(f"{type(one.model).__name__}, {one.phase}, seed {one.seed}", refresh=False)
            for length in lengths:
                rows += measure(one, _examples(one, length, options.sequences), options.position)
                bar.update(length)
    return rows


def measure(probed: Probed, batch: Batch, position: int = 0) -> list[Row]:
    """Gradient norms at every distance, and Jacobians at about eight.

    Args:
        probed: a model and what it is called.
        batch: sequences of one length.
        position: target position whose loss is looked at.
    """
    model, length = probed.model, batch.source.shape[1]
    subject = Subject(type(model).__name__, variant(model), probed.task, length, probed.seed)
    phase = (probed.phase, probed.step)
    steps = distances(batch, position)
    rows = subject.curve(*phase, EMBEDDING_GRADIENT, curve(embedding_gradients(model, batch, position), steps))
    measured = spaced_distances(length, JACOBIAN_DISTANCES)
    few = batch._replace(
        source=batch.source[:JACOBIAN_SEQUENCES],
        source_lengths=batch.source_lengths[:JACOBIAN_SEQUENCES],
        on_host=None,
    )
    norms = jacobian_norms(model, few, measured)
    if norms is not None:
        rows += subject.curve(
            *phase, JACOBIAN, curve(norms, torch.tensor(measured, device=norms.device).expand_as(norms))
        )
    return rows


def _write_figures(rows: list[Row], folder: Path, stated: Architectures) -> str:
    import pandas as pd

    from analysis.report.probe_pages import write_gradients

    return write_gradients(pd.DataFrame(rows, columns=GRADIENTS.names), folder, stated)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="lengthwise gradients",
        description="Measure how much of the learning signal reaches a source token by its distance from the loss: "
        "of every architecture at initialisation, and of trained checkpoints. Writes gradients.csv, gradients.md and "
        "figures/, and prints decay per step and effective horizon. docs/gradients.md says what they mean.",
        epilog="Example: lengthwise gradients --lengths 25 50 --checkpoint runs/TRIAL/checkpoints/best.ckpt",
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[25, 50, 100, 200], metavar="N",
                        help="source lengths in tokens (default 25 50 100 200)")  # fmt: skip
    parser.add_argument("--models", nargs="+", metavar="NAME", help="architectures at initialisation (default: all)")
    parser.add_argument("--checkpoint", type=Path, nargs="+", default=[], metavar="FILE",
                        help="trained models, each measured on the task it was trained on")  # fmt: skip
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--parameter_budget", type=int, default=100_000, metavar="N",
                      help="parameters of each architecture, within 10%% (default %(default)s)")  # fmt: skip
    size.add_argument("--hidden_size", type=int, metavar="N", help="one hidden size for all instead")
    parser.add_argument("--task", choices=list(TASKS), default="copy", help="for --models (default %(default)s)")
    parser.add_argument("--vocabulary", type=int, default=32, help="symbols of the task (default %(default)s)")
    parser.add_argument("--position", type=int, default=0, metavar="T",
                        help="target position whose loss is looked at, from 0 (default %(default)s)")  # fmt: skip
    for name, default, text in (
        ("seeds", 3, "draws of the initial weights, from seed 0"),
        ("sequences", 64, "sequences for each seed and length"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/gradients"), metavar="DIR",
                        help="folder to write to (default %(default)s)")  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, metavar="N",
                        help="CPU threads; so small models gain nothing from more (default %(default)s)")  # fmt: skip
    return parser
