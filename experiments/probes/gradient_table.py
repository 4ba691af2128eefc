"""gradients.csv: how gradient flow is written down, by the probe and by training alike."""

import csv
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from analysis.tables.schema import GRADIENTS
from experiments.files import write_csv
from lit_models import LitSeq2Seq
from lit_models.probes.gradient_flow import Point


class Row(NamedTuple):
    """A line of gradients.csv in the columns of its schema; None is an empty cell."""

    arch: str
    variant: str
    task: str
    length: int
    seed: int
    phase: str
    step: int
    quantity: str
    distance: int | None
    mean: float
    low: float | None
    high: float | None
    sequences: int | None


class Subject(NamedTuple):
    """What is measured.

    Attributes:
        arch: class name of the architecture.
        variant: what sets it apart from the defaults of its class; empty for these.
        task: name of the task.
        length: source length in tokens.
        seed: of weights and examples.
    """

    arch: str
    variant: str
    task: str
    length: int
    seed: int

    def curve(self, phase: str, step: int, quantity: str, points: Iterable[Point]) -> list[Row]:
        """A row for each distance."""
        return [Row(*self, phase, step, quantity, *point) for point in points]

    def scalar(self, phase: str, step: int, quantity: str, mean: float, *range_: float) -> Row:
        """A row without a distance; the range is least and greatest, or nothing."""
        low, high = range_ or (None, None)
        return Row(*self, phase, step, quantity, None, mean, low, high, None)


def variant(model: LitSeq2Seq, **further: Any) -> str:
    """What sets a model apart from the defaults of its class, such as `recurrent_init=identity`.

    Its width and the options of training that all architectures share do not count.

    Args:
        model: any architecture.
        **further: other settings that set it apart, with their values.
    """
    defaults: dict[str, Any] = {}
    for base in reversed(type(model).__mro__[: type(model).__mro__.index(LitSeq2Seq)]):
        for name, parameter in inspect.signature(base.__init__).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY and name != "hidden_size":
                defaults[name] = parameter.default
    apart = {name: model.options[name] for name in sorted(defaults) if model.options[name] != defaults[name]}
    return ", ".join(f"{name}={value}" for name, value in {**apart, **further}.items())


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write gradients.csv, whole or not at all."""
    write_csv(path, GRADIENTS.names, map(cells, rows))


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Put rows behind those of gradients.csv."""
    with path.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(map(cells, rows))


def cells(row: Row) -> list[str]:
    """The text of each column; a number can be read back without loss."""
    return ["" if value is None else value if isinstance(value, str) else repr(value) for value in row]
