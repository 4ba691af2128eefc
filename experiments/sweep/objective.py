"""What a W&B sweep looks for and what it gives up: the keys metric and early_terminate of a sweep file."""

import difflib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.tables.schema import HISTORY, RESULTS
from experiments.config.monitors import MODES, direction
from experiments.errors import UsageError, refuse_unknown
from experiments.files import read_rows
from experiments.trial.outcome import totals

FORMS = "validation/METRIC such as validation/loss, or test/METRIC/LENGTH such as test/greedy_token_accuracy/40"


@dataclass(frozen=True)
class Metric:
    """What makes one trial better than another.

    Attributes:
        name: of validation or of the final test, as W&B shows it.
        maximize: whether more of it is better.
        target: no trial is begun once one is as good as this; None where there is no such value.
    """

    name: str
    maximize: bool
    target: float | None

    def reached(self, value: float) -> bool:
        """Whether a value is as good as the target."""
        return self.target is not None and (value >= self.target if self.maximize else value <= self.target)

    def of(self, folder: Path) -> float | None:
        """The value of a complete trial, the best of its curve as W&B takes it; None where it was not measured."""
        split, _, name = self.name.partition("/")
        if split == "test":
            values = [totals(read_rows(folder / RESULTS.file)).get(self.name, math.nan)]
        else:
            rows = read_rows(folder / HISTORY.file)
            values = [float(row["value"]) for row in rows if (row["split"], row["metric"]) == (split, name)]
        return (max if self.maximize else min)(filter(math.isfinite, values), default=None)


@dataclass(frozen=True)
class Hyperband:
    """When trials are compared and the worse ones stopped, counted in validations.

    Attributes:
        first: validations before the first comparison.
        most: validations of a whole trial; None where the file leaves it to the trials.
        eta: of so many trials one goes on; the next comparison is after so many times the validations.
    """

    first: int
    most: int | None
    eta: int


def read_metric(path: Path, content: dict[str, Any], needed_by: str) -> Metric:
    """The metric of a sweep file whose trials are compared.

    Raises:
        UsageError: one line that names the file and the key.
    """
    block = content.get("metric")
    if not isinstance(block, dict) or not isinstance(block.get("name"), str):
        raise UsageError(f"{path}: metric: missing; {needed_by} needs its name and its goal, {FORMS}")
    refuse_unknown(path, "metric: key", block, ("name", "goal", "target", "impute", "impute_while_running"))
    name, goal, target = block["name"], block.get("goal", "minimize"), block.get("target")
    if goal not in ("minimize", "maximize"):
        raise UsageError(f"{path}: metric: goal: {goal!r}; choose minimize or maximize")
    if target is not None and (not isinstance(target, int | float) or isinstance(target, bool)):
        raise UsageError(f"{path}: metric: target: {target!r} is not a number")
    split, *parts = name.split("/")
    if (split, len(parts)) not in (("validation", 1), ("test", 2)):
        raise UsageError(f"{path}: metric: {name} is not measured; name {FORMS}")
    if split == "validation" and parts[0] not in MODES:
        near = difflib.get_close_matches(parts[0], MODES, n=1)
        hint = f"did you mean validation/{near[0]}?" if near else f"they are {', '.join(MODES)}"
        raise UsageError(f"{path}: metric: {name} is not measured; {hint}")
    if split == "validation" and direction(name) != goal[:3]:
        better = "lower" if goal == "maximize" else "higher"
        raise UsageError(f"{path}: metric: goal: {goal} contradicts {name}, of which {better} is better")
    return Metric(name, goal == "maximize", target)


def read_hyperband(path: Path, block: Any) -> Hyperband:
    """The early_terminate of a sweep file.

    Raises:
        UsageError: one line that names the file and the key.
    """
    where = f"{path}: early_terminate"
    if not isinstance(block, dict) or block.get("type") != "hyperband":
        raise UsageError(f"{where}: W&B knows one type; write type: hyperband, with min_iter, or with max_iter and s")
    refuse_unknown(path, "early_terminate: key", block, ("type", "min_iter", "max_iter", "s", "eta", "strict"))
    eta, most, brackets = block.get("eta", 3), block.get("max_iter"), block.get("s")
    for key, value, least in (("min_iter", block.get("min_iter", 1), 1), ("max_iter", most or 1, 1),
                              ("s", brackets or 1, 1), ("eta", eta, 2)):  # fmt: skip
        if not isinstance(value, int | float) or isinstance(value, bool) or value != int(value) or value < least:
            raise UsageError(f"{where}: {key}: {value!r} must be a whole number, at least {least}")
    if "min_iter" in block:
        return Hyperband(int(block["min_iter"]), None if most is None else int(most), int(eta))
    if most is None or brackets is None:
        raise UsageError(f"{where}: give min_iter, or max_iter and s")
    return Hyperband(max(1, int(most / eta ** int(brackets))), int(most), int(eta))
