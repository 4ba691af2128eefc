"""Reading a W&B sweep file, and the trials it stands for.

The format is that of `wandb sweep`, so one file serves the server and this machine. objective.py reads its keys metric
and early_terminate.
"""

import difflib
import itertools
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.errors import UsageError, refuse_unknown
from experiments.sweep.distributions import DISTRIBUTIONS, SETTINGS, grid_size, grid_values
from experiments.sweep.objective import Hyperband, Metric, read_hyperband, read_metric
from experiments.yaml_files import load_yaml

TOP_LEVEL = (
    "method", "parameters", "program", "command", "name", "description", "project", "entity", "metric",
    "early_terminate", "run_cap", "controller", "settings", "image_uri", "job", "launch", "apiVersion", "kind",
)  # fmt: skip
ARGUMENTS = "${args}"  # W&B's macro for the parameters
MOST_LOGARITHM, LARGEST_LOGARITHM = 40, 700  # e^40 is beyond anything to be tried, e^700 nearly beyond a double
MOST_TRIALS = 1_000_000  # each of which is checked before the first one starts
LARGEST_SEED = 2**128 - 1  # the key of Philox
NUMERIC = ("min", "max", "mu", "sigma", "a", "b", "q")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # as W&B's schema has it
ENVIRONMENT_VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")  # W&B's macro for a variable of the agent's machine


@dataclass(frozen=True)
class Parameter:
    """A parameter by its dotted name, and how its values are drawn."""

    name: str
    distribution: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A sweep file as read.

    Attributes:
        path: the file.
        name: its name, or the file's.
        method: grid, random or bayes.
        parameters: in the file's order.
        command: what the file's command has after `fit`; ARGUMENTS stands for the parameters.
        run_cap: most trials, or None.
        notes: what means something else here than people may think.
        metric: what trials are compared by; None where each runs to its end whatever the others do.
        hyperband: when worse trials are stopped; None for never.
    """

    path: Path
    name: str
    method: str
    parameters: tuple[Parameter, ...]
    command: tuple[str, ...]
    run_cap: int | None
    notes: tuple[str, ...]
    metric: Metric | None = None
    hyperband: Hyperband | None = None


def read_sweep(path: Path) -> Sweep:
    """Read and check a sweep file.

    Raises:
        UsageError: one line that names the file and the key.
    """
    return checked_sweep(path, load_yaml(path, "not a sweep file; it needs the keys method and parameters"))


def checked_sweep(path: Path, content: dict[str, Any]) -> Sweep:
    """Check what a sweep file holds.

    Args:
        path: how messages name it.
        content: as YAML gives it.

    Raises:
        UsageError: one line that names the file and the key.
    """
    refuse_unknown(path, "key", content, TOP_LEVEL)
    method = content.get("method")
    if method not in ("grid", "random", "bayes"):
        what = "missing" if method is None else repr(method)
        raise UsageError(f"{path}: method: {what}; choose grid, random or bayes")
    parameters = content.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        raise UsageError(f"{path}: parameters: missing; name at least one")
    read = tuple(_parameters(path, parameters, ""))
    names = [parameter.name for parameter in read]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path}: parameters: {name} is given twice, nested and dotted")
    run_cap = content.get("run_cap")
    if run_cap is not None and (not isinstance(run_cap, int) or isinstance(run_cap, bool) or run_cap < 1):
        raise UsageError(f"{path}: run_cap: {run_cap!r} is not a positive integer")
    notes = list(filter(None, map(_meant_as_values, read)))
    stops = "early_terminate" in content
    hyperband = read_hyperband(path, content["early_terminate"]) if stops else None
    wants_target = isinstance(content.get("metric"), dict) and "target" in content["metric"]
    compared = [name for name, given in (("method: bayes", method == "bayes"), ("early_terminate", stops),
                                         ("target", wants_target)) if given]  # fmt: skip
    metric = read_metric(path, content, compared[0]) if compared else None
    if stops and metric is not None and not metric.name.startswith("validation/"):
        raise UsageError(
            f"{path}: metric: {metric.name} is known at the end only; early_terminate needs validation/..."
        )
    differences = ["bayes is Optuna's tree-structured Parzen estimator, W&B's a Gaussian process"] * (method == "bayes")
    differences += ["early_terminate is Optuna's Hyperband, asynchronous, counted in validations"] * stops
    if differences:
        notes.append(f"unlike the W&B server: {'; '.join(differences)}")
    return Sweep(
        path=path,
        name=str(content.get("name") or path.stem),
        method=method,
        parameters=read,
        command=_command(path, content.get("command")),
        run_cap=run_cap,
        notes=tuple(notes),
        metric=metric,
        hyperband=hyperband,
    )


def expand(sweep: Sweep, count: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """The configurations of a sweep, by dotted name, without repetitions.

    Args:
        sweep: what `read_sweep` gave.
        count: most configurations; a sweep without a grid needs it, or the file's run_cap. The smaller of the two
            counts.
        seed: what a random sweep draws from. A larger count begins with the same configurations.

    Of a bayes sweep, whose configurations depend on results, it gives as many random ones.

    Raises:
        UsageError: a grid over something that has no list of values, a sweep without end or count, or more than
            MOST_TRIALS.
    """
    count = most_trials(sweep, count)
    points = _grid(sweep, count) if sweep.method == "grid" else _draws(sweep, count, seed)
    unique: dict[str, dict[str, Any]] = {}
    for point in points:
        if len(unique) == count:
            break
        unique.setdefault(json.dumps(point, sort_keys=True), point)
    return list(unique.values())


def most_trials(sweep: Sweep, count: int | None) -> int | None:
    """The smaller of a count and the file's run_cap; None for a grid that has neither.

    Raises:
        UsageError: a sweep without end has neither, or they are too large.
    """
    count = min((limit for limit in (count, sweep.run_cap) if limit is not None), default=None)
    if sweep.method != "grid":
        if count is None:
            raise UsageError(f"{sweep.path}: a {sweep.method} sweep has no end; give --count or run_cap")
        if count > MOST_TRIALS:
            raise UsageError(
                f"{sweep.path}: a {sweep.method} sweep of {count} trials; --count and run_cap go up to {MOST_TRIALS}"
            )
    return count


def _grid(sweep: Sweep, count: int | None) -> Iterator[dict[str, Any]]:
    """Every combination of the values, the last parameter changing fastest."""
    axes, size = [], 1
    for parameter in sweep.parameters:
        where = f"{sweep.path}: {parameter.name}"
        if "probabilities" in parameter.settings:
            raise UsageError(f"{where}: a grid tries every value; leave out probabilities, or use method: random")
        steps = grid_size(parameter.distribution, parameter.settings)
        if steps > MOST_TRIALS:
            raise UsageError(f"{where}: a grid of more than {MOST_TRIALS:,} values; list fewer, or use method: random")
        values = grid_values(parameter.distribution, parameter.settings)
        if values is None:
            raise UsageError(
                f"{where}: a grid cannot try every value of {parameter.distribution}; "
                "list values, or use method: random"
            )
        axes.append([(parameter.name, value) for value in values])
        size *= len(values)
    if min(size, count or size) > MOST_TRIALS:
        raise UsageError(f"{sweep.path}: a grid of {size:,} trials; list fewer values, or give --count or run_cap")
    return (dict(point) for point in itertools.product(*axes))


def _draws(sweep: Sweep, count: int | None, seed: int) -> Iterator[dict[str, Any]]:
    """Random configurations. Philox gives a larger count the same first rows."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"--seed: {seed} must lie between 0 and 2^128 - 1")
    generator = np.random.Generator(np.random.Philox(key=seed))
    for _ in range(count or 0):
        pairs = zip(sweep.parameters, generator.random(len(sweep.parameters)), strict=True)
        yield {parameter.name: draw(sweep.path, parameter, float(u)) for parameter, u in pairs}


def draw(path: Path, parameter: Parameter, u: float) -> Any:
    """The value of a parameter at u, a number in (0, 1).

    Raises:
        UsageError: it is too large to hold.
    """
    try:
        return DISTRIBUTIONS[parameter.distribution].draw(parameter.settings, u)
    except OverflowError:
        raise UsageError(
            f"{path}: {parameter.name}: {parameter.distribution} draws numbers too large to hold; "
            "its settings are natural logarithms, those of log_uniform_values the values themselves"
        ) from None


def to_arguments(sweep: Sweep, point: dict[str, Any]) -> list[str]:
    """Command-line options as the trial's parser reads them, in the order of the file's command."""
    given = [f"--{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in point.items()]
    return [word for part in sweep.command for word in (given if part == ARGUMENTS else [part])]


def _meant_as_values(parameter: Parameter) -> str | None:
    """A note on bounds that look like values where logarithms are meant."""
    low, high = (parameter.settings.get(bound, 0) for bound in ("min", "max"))
    kind = parameter.distribution
    if not kind.endswith("log_uniform") or low <= 0 or 1 < high <= MOST_LOGARITHM or high > LARGEST_LOGARITHM:
        return None
    drawn = sorted((math.exp(-low), math.exp(-high)) if kind.startswith("inv") else (math.exp(low), math.exp(high)))
    return (
        f"{parameter.name}: {kind} takes natural logarithms, and these draw {drawn[0]:.4g} to {drawn[1]:.4g}; "
        f"{kind}_values takes the values themselves"
    )


def _parameters(path: Path, block: dict[str, Any], prefix: str) -> Iterator[Parameter]:
    """Flatten nested parameters to dotted names."""
    for key, settings in block.items():
        name = f"{prefix}{key}"
        if not isinstance(key, str) or not NAME.fullmatch(key):
            raise UsageError(f"{path}: parameters: {name} is not a name; W&B allows letters, digits, _ . and -")
        if not isinstance(settings, dict):
            raise UsageError(f"{path}: {name}: give it value, values or a distribution, such as {{value: {settings}}}")
        if "parameters" in settings:
            nested = settings["parameters"]
            if len(settings) > 1 or not isinstance(nested, dict) or not nested:
                raise UsageError(f"{path}: {name}: parameters must hold at least one parameter and stand alone")
            yield from _parameters(path, nested, f"{name}.")
        else:
            yield _parameter(path, name, settings)


def _parameter(path: Path, name: str, settings: dict[str, Any]) -> Parameter:
    refuse_unknown(path, f"{name}: setting", settings, SETTINGS)
    kind = settings.get("distribution") or _implied(path, name, settings)
    if not isinstance(kind, str) or kind not in DISTRIBUTIONS:
        near = difflib.get_close_matches(str(kind), DISTRIBUTIONS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{path}: {name}: distribution {kind} is unknown; {hint}They are {', '.join(DISTRIBUTIONS)}")
    distribution = DISTRIBUTIONS[kind]
    for needed in distribution.required:
        if needed not in settings:
            raise UsageError(f"{path}: {name}: {kind} needs {needed}")
    allowed = (*distribution.required, *distribution.optional, "distribution")
    for given in settings:
        if given not in allowed:
            raise UsageError(f"{path}: {name}: {given} means nothing to {kind}")
    settings = {key: value for key, value in settings.items() if key != "distribution"}
    _check_settings(path, name, kind, settings)
    return Parameter(name, kind, settings)


def _implied(path: Path, name: str, settings: dict[str, Any]) -> str:
    """The distribution W&B takes where none is named."""
    if "value" in settings:
        return "constant"
    if "values" in settings:
        return "categorical"
    if "min" in settings or "max" in settings:
        whole = all(isinstance(settings.get(bound, 0), int) for bound in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    if "mu" in settings or "sigma" in settings:
        return "normal"
    raise UsageError(f"{path}: {name}: give it value, values, or min and max")


def _check_settings(path: Path, name: str, kind: str, settings: dict[str, Any]) -> None:
    for key in NUMERIC:
        value = settings.get(key, 0)
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            raise UsageError(f"{path}: {name}: {key}: a number too large to hold; it ends at {sys.float_info.max:.3g}")
        if not _is_number(value):
            text = isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+[eE][-+]?\d+", value)
            hint = "; YAML takes it for text, write it as in 1.0e-4 or 1.0e+4" if text else ""
            raise UsageError(f"{path}: {name}: {key}: {value!r} is not a number{hint}")
        if kind == "int_uniform" and not isinstance(value, int):
            raise UsageError(f"{path}: {name}: {key}: {value!r} is not a whole number, which int_uniform needs")
    if "min" in settings and settings["min"] > settings["max"]:
        raise UsageError(f"{path}: {name}: min {settings['min']} is above max {settings['max']}")
    if kind.endswith("_values") and settings["min"] <= 0:
        raise UsageError(f"{path}: {name}: min {settings['min']} must be above 0 on a logarithmic scale")
    for key in ("q", "sigma", "a", "b"):
        if settings.get(key, 1) <= 0:
            raise UsageError(f"{path}: {name}: {key} {settings[key]} must be above 0")
    values = settings.get("values")
    if values is not None and (not isinstance(values, list) or not values):
        raise UsageError(f"{path}: {name}: values must be a list with at least one value")
    for value in values or [settings.get("value")]:
        if not _is_plain(value):
            raise UsageError(f"{path}: {name}: {value} is no number, text, true, false, null or list; quote a date")
    shares = settings.get("probabilities")
    if shares is not None:
        numbers = isinstance(shares, list) and all(_is_number(share) and share >= 0 for share in shares)
        if not numbers or len(shares) != len(values or []) or abs(sum(shares) - 1) > 1e-6:
            raise UsageError(f"{path}: {name}: probabilities must be one number a value and sum to 1")


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a double holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_plain(value: Any) -> bool:
    """Whether a value can stand on a command line: YAML also knows dates, sets, bytes and lists within themselves."""
    try:
        json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _command(path: Path, command: Any) -> tuple[str, ...]:
    """What the file's command has after `fit`, with its environment variables filled in."""
    if command is None:
        return (ARGUMENTS,)
    if not isinstance(command, list) or not all(isinstance(part, str | int | float) for part in command):
        raise UsageError(f"{path}: command must be a list of words")
    words = [str(part) for part in command]  # W&B's agent also takes numbers
    if "fit" not in words:
        raise UsageError(f"{path}: command: the local runner trains with lengthwise fit, and the word fit is missing")
    words = words[words.index("fit") + 1 :]
    words = [ENVIRONMENT_VARIABLE.sub(lambda match: _variable(path, match[1]), word) for word in words]
    for word in words:
        if word.startswith("${") and word.endswith("}") and word != ARGUMENTS:
            raise UsageError(f"{path}: command: lengthwise fit cannot read what W&B puts for {word}; use {ARGUMENTS}")
    if ARGUMENTS not in words:
        raise UsageError(f"{path}: command: end it with {ARGUMENTS}; without, W&B starts every trial alike")
    return tuple(words)


def _variable(path: Path, name: str) -> str:
    if name not in os.environ:
        raise UsageError(f"{path}: command: the environment variable {name} is not set; set it, or write its value")
    return os.environ[name]
