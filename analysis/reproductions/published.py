"""What a reproduction consists of, as its file in experiments/reproductions/ states it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

INFINITE = float("inf")


class Line(NamedTuple):
    """What a line shows: the trials whose settings are these, and the metric that is taken of them."""

    name: str
    settings: Mapping[str, Any]  # by the names that sweeps have for them, such as model.reverse_source
    metric: str


class Reference(NamedTuple):
    """A number that rules speak of: a line at one place, or its mean over a span; `name` is how the file says it."""

    name: str
    line: str
    first: float
    last: float


class Rule(NamedTuple):
    """One thing that the paper claims, as something that can be decided.

    Attributes:
        says: the claim in a sentence.
        kind: order, number, ratio or crossing.
        of: the numbers it speaks of, the greater ones first where it is an order; of a crossing the line.
        least: lower end of the published range of the number.
        most: its upper end.
        neutral: the value on whose one side the range lies; None where there is no direction.
        level: the value that a crossing falls to.
    """

    says: str
    kind: str
    of: tuple[Reference, ...]
    least: float = -INFINITE
    most: float = INFINITE
    neutral: float | None = None
    level: float = 0.0


class PublishedPoint(NamedTuple):
    """A published value, at a place of the horizontal axis or, without one, of the line as a whole."""

    line: str
    x: float | None
    value: float


class Published(NamedTuple):
    """The numbers of the paper.

    Attributes:
        read: how they were read: from a table, from the text, from a curve, or second-hand.
        measure: what the numbers are, where they are not the metric measured here; they get an axis of their own then.
        error: of reading a curve, in the same unit.
        points: the values.
    """

    read: str
    measure: str
    error: float
    points: tuple[PublishedPoint, ...]


@dataclass(frozen=True)
class Reproduction:
    """A published result, and how it is measured here.

    Attributes:
        name: of its file and folder.
        size: small or paper.
        title: what is claimed, in one sentence.
        paper: authors and year.
        where: the table, figure or section of the paper.
        link: to the paper.
        differs: what differs from the paper, in one sentence.
        cost: what it takes.
        tried: what was tried where the results do not agree; empty where they do.
        table: where the numbers stand: trials, gradients or parallelism.
        measure: what the numbers are, for an axis.
        x: what the horizontal axis is: `length`, the name of an option, or `distance`.
        axis: its label.
        lengths: the places of it that count; empty for all.
        best: whether the paper reports the best of its seeds.
        fixed_steps: whether the paper trains for a fixed number of steps, so that trials that use them up count.
        lines: what is compared.
        published: the numbers of the paper.
        rules: what is claimed.
        sweep: content of the sweep file, empty for a probe.
        probe: arguments of the verb that measures it, the verb first; empty for a sweep.
    """

    name: str
    size: str
    title: str
    paper: str
    where: str
    link: str
    differs: str
    cost: str
    tried: str
    table: str
    measure: str
    x: str
    axis: str
    lengths: tuple[float, ...]
    best: bool
    fixed_steps: bool
    lines: tuple[Line, ...]
    published: Published
    rules: tuple[Rule, ...]
    sweep: Mapping[str, Any]
    probe: tuple[str, ...]
