"""Whether the trials of a reproduction will measure what its claims speak of: known before anything is trained."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.reproductions.published import Line, Reference, Reproduction
from data.datamodule import Seq2SeqDataModule
from experiments.config.trial import Trial
from experiments.errors import UsageError


def check_coverage(path: Path, reproduction: Reproduction, trials: Sequence[Trial]) -> None:
    """Refuse lines that no trial belongs to, options that no trial has, and places that no trial is tested at.

    Args:
        path: of the reproduction's file, for the message.
        reproduction: what the file says.
        trials: those of its sweep.

    Raises:
        UsageError: one line that names the file and the key.
    """
    places = {line.name: list(_places(path, reproduction.x, line, trials)) for line in reproduction.lines}
    for number, rule in enumerate(reproduction.rules, start=1):
        for reference in rule.of:
            if not any(reference.first <= place <= reference.last for place in places[reference.line]):
                raise UsageError(f"{path}: claims[{number}].{rule.kind}: {_nowhere(reference, places[reference.line])}")


def _nowhere(reference: Reference, places: list[float]) -> str:
    there = ", ".join(f"{place:g}" for place in sorted(set(places)))
    return f"'{reference.name}' is not measured; {reference.line} is at {there}"


def _places(path: Path, x: str, line: Line, trials: Sequence[Trial]) -> Iterator[float]:
    """Where on the horizontal axis the trials of a line stand."""
    options = {name: _option(path, f"lines.{line.name}", name, trials) for name in line.settings}
    axis = {} if x == "length" else _option(path, "x", x, trials)
    belong = [one for one in trials if all(options[name].get(one.name) == line.settings[name] for name in options)]
    if not belong:
        settings = ", ".join(f"{name} {value}" for name, value in line.settings.items())
        raise UsageError(f"{path}: lines.{line.name}: no trial of the sweep has {settings}")
    for trial in belong:
        if x == "length":
            data = Seq2SeqDataModule(**trial.config["data"])
            yield from data.buckets if data.text else data.eval_lengths
        else:
            yield float(axis[trial.name])


def _option(path: Path, where: str, name: str, trials: Sequence[Trial]) -> dict[str, Any]:
    """The value of an option in each trial that has it, by the trial's name.

    Raises:
        UsageError: no trial has it.
    """
    found = {trial.name: options[name] for trial in trials if name in (options := _options(trial.config))}
    if not found:
        known = {option for trial in trials for option in _options(trial.config)}
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{path}: {where}: {name} is no option of its trials{hint}")
    return found


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the model and of the data, by the names that sweeps have for them."""
    model = config["model"]
    of_model = {f"model.{name}": value for name, value in model["init_args"].items()}
    return {"model": model["class_path"], **of_model, **{f"data.{name}": v for name, v in config["data"].items()}}
