"""What a parameter of a W&B sweep may be: the distributions of the format, with its names and its meaning.

Each takes its settings and a uniform number u in (0, 1) to a value, through the inverse of the distribution
function, so that one number a parameter is all the randomness a trial needs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scipy import stats

Settings = dict[str, Any]


@dataclass(frozen=True)
class Distribution:
    """Settings a distribution requires and allows, and how a value is drawn."""

    required: tuple[str, ...]
    draw: Callable[[Settings, float], Any]
    optional: tuple[str, ...] = ()


def _categorical(settings: Settings, u: float) -> Any:
    values = settings["values"]
    shares = settings.get("probabilities") or [1 / len(values)] * len(values)
    total = 0.0
    for value, share in zip(values, shares, strict=True):
        total += share
        if u < total:
            return value
    return values[-1]


def _int_uniform(settings: Settings, u: float) -> int:
    low, high = int(settings["min"]), int(settings["max"])
    return low + min(int(u * (high - low + 1)), high - low)


def _uniform(settings: Settings, u: float) -> float:
    return settings["min"] + u * (settings["max"] - settings["min"])


def _log_uniform(settings: Settings, u: float) -> float:
    """min and max are natural logarithms of the bounds."""
    return math.exp(_uniform(settings, u))


def _log_uniform_values(settings: Settings, u: float) -> float:
    """min and max are the bounds themselves."""
    return math.exp(_uniform({"min": math.log(settings["min"]), "max": math.log(settings["max"])}, u))


def _inv_log_uniform(settings: Settings, u: float) -> float:
    """log(1 / x) is uniform between min and max."""
    return math.exp(-_uniform(settings, u))


def _inv_log_uniform_values(settings: Settings, u: float) -> float:
    """log(1 / x) is uniform between log(1 / max) and log(1 / min)."""
    return math.exp(-_uniform({"min": -math.log(settings["max"]), "max": -math.log(settings["min"])}, u))


def _normal(settings: Settings, u: float) -> float:
    return float(stats.norm.ppf(u, settings.get("mu", 0.0), settings.get("sigma", 1.0)))


def _log_normal(settings: Settings, u: float) -> float:
    return math.exp(_normal(settings, u))


def _beta(settings: Settings, u: float) -> float:
    return float(stats.beta.ppf(u, settings.get("a", 1.0), settings.get("b", 1.0)))


def _in_steps(draw: Callable[[Settings, float], float]) -> Callable[[Settings, float], float]:
    """Round to multiples of q, 1 if it is not given."""

    def rounded(settings: Settings, u: float) -> float:
        q = settings.get("q", 1)
        value = round(draw(settings, u) / q) * q
        return int(value) if isinstance(q, int) else round(value, 12)

    return rounded


_BOUNDS, _MOMENTS = ("min", "max"), ("mu", "sigma")
DISTRIBUTIONS: dict[str, Distribution] = {
    "constant": Distribution(("value",), lambda settings, u: settings["value"]),
    "categorical": Distribution(("values",), _categorical, ("probabilities",)),
    "categorical_w_probabilities": Distribution(("values", "probabilities"), _categorical),
    "int_uniform": Distribution(_BOUNDS, _int_uniform),
    "uniform": Distribution(_BOUNDS, _uniform),
    "log_uniform": Distribution(_BOUNDS, _log_uniform),
    "log_uniform_values": Distribution(_BOUNDS, _log_uniform_values),
    "inv_log_uniform": Distribution(_BOUNDS, _inv_log_uniform),
    "inv_log_uniform_values": Distribution(_BOUNDS, _inv_log_uniform_values),
    "normal": Distribution((), _normal, _MOMENTS),
    "log_normal": Distribution((), _log_normal, _MOMENTS),
    "beta": Distribution((), _beta, ("a", "b")),
    "q_uniform": Distribution(_BOUNDS, _in_steps(_uniform), ("q",)),
    "q_log_uniform": Distribution(_BOUNDS, _in_steps(_log_uniform), ("q",)),
    "q_log_uniform_values": Distribution(_BOUNDS, _in_steps(_log_uniform_values), ("q",)),
    "q_normal": Distribution((), _in_steps(_normal), (*_MOMENTS, "q")),
    "q_log_normal": Distribution((), _in_steps(_log_normal), (*_MOMENTS, "q")),
    "q_beta": Distribution((), _in_steps(_beta), ("a", "b", "q")),
}
SETTINGS = ("distribution", "value", "values", "probabilities", "min", "max", "mu", "sigma", "a", "b", "q")


def grid_size(name: str, settings: Settings) -> float:
    """How many values a grid search tries of a distribution between bounds; 0 for one that has none."""
    match name:
        case "int_uniform":
            return settings["max"] - settings["min"] + 1
        case "q_uniform":
            q = settings.get("q", 1)
            return (float(settings["max"]) - float(settings["min"])) / q
    return 0


def grid_values(name: str, settings: Settings) -> list[Any] | None:
    """Every value a grid search tries; None for a distribution that cannot be enumerated."""
    match name:
        case "constant":
            return [settings["value"]]
        case "categorical" | "categorical_w_probabilities":
            return list(settings["values"])
        case "int_uniform":
            return list(range(int(settings["min"]), int(settings["max"]) + 1))
        case "q_uniform":
            q = settings.get("q", 1)
            count = math.ceil((settings["max"] - settings["min"]) / q - 1e-9)  # as W&B does: without max itself
            return [round(settings["min"] + step * q, 12) for step in range(count)]
    return None
