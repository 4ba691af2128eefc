"""The files that trials and probes leave, and that a report keeps: names, columns, types and checks.

Whoever writes a file takes its columns from here; whoever reads one is told here what is wrong with a value.
docs/results.md and docs/gradients.md say what the columns mean.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

ALL = "all"  # the bucket that is the whole test set
CHANCE = "chance"  # the metric that no model has measured: what guessing without the source gets
BUCKET = re.compile(r"|all|(\d+)-(\d+)|(\d+)\+")
EMBEDDING_GRADIENT = "embedding_gradient"
JACOBIAN = "jacobian"
CURVES = (EMBEDDING_GRADIENT, JACOBIAN)  # quantities of gradient flow that have a distance
PHASES = ("initial", "training", "trained")
KINDS = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object", list: "a list",
}  # fmt: skip


def _whole(cell: str) -> int | float:
    """A whole number; `3.0` is one too, as tables with gaps write it so."""
    number = float(cell)
    if not number.is_integer():
        raise ValueError
    return number if "." in cell else int(cell)


def _boolean(cell: str) -> bool:
    if cell not in ("True", "False"):
        raise ValueError
    return cell == "True"


def _object(cell: str) -> dict[str, Any]:
    content = json.loads(cell)
    if not isinstance(content, dict):
        raise ValueError
    return content


PARSERS: dict[type, Callable[[str], Any]] = {str: str, int: _whole, float: float, bool: _boolean, dict: _object}


class Column(NamedTuple):
    """A column of a table, or a key of a JSON object.

    Attributes:
        name: its name.
        kind: the type of its values, one of `KINDS`. An object stands in a table as JSON.
        optional: whether a value may be missing: an empty cell, or a key that is null or absent. A number that is
            optional may be nan.
        least: the least value of a number.
        pattern: what a text has to match as a whole.
        expected: what a text that does not match it is, as a message says it.
        default: the cell in files without the column; None where every file has it.
    """

    name: str
    kind: type = str
    optional: bool = False
    least: float = -math.inf
    pattern: re.Pattern[str] | None = None
    expected: str = ""
    default: str | None = None

    def parse(self, cell: str) -> Any:
        """The value in a cell of a table; None where it is missing.

        Raises:
            ValueError: the cell is not what the column holds.
        """
        if self.optional and cell == "":
            return None
        try:
            value = PARSERS[self.kind](cell)
        except ValueError:
            raise ValueError(f"{self.name} is not {KINDS[self.kind]}: '{cell}'") from None
        if self.kind is float and math.isnan(value) and not self.optional:
            raise ValueError(f"{self.name} is not a number: '{cell}'")
        if self.kind in (int, float) and value < self.least:
            raise ValueError(f"{self.name} is below {self.least:g}: '{cell}'")
        if self.pattern and not self.pattern.fullmatch(value):
            raise ValueError(f"{self.name} is {self.expected}: '{cell}'")
        return value if self.optional or self.kind is not int else int(value)

    def check(self, content: Mapping[str, Any]) -> None:
        """Look at the value that a JSON object has under the key.

        Raises:
            ValueError: it is missing, or not what the key holds.
        """
        value = content.get(self.name)
        if value is None and self.optional:
            return
        if self.name not in content:
            raise ValueError(f"has no '{self.name}'")
        kinds = (int, float) if self.kind is float else (self.kind,)
        if type(value) not in kinds:
            raise ValueError(f"'{self.name}' is {value!r}, not {KINDS[self.kind]}")


@dataclass(frozen=True)
class Table:
    """A file: a table with columns in CSV, or an object with keys in JSON.

    Attributes:
        file: its name.
        columns: the columns or keys that it must have. It may have more.
        remedy: what to do where the file is corrupt, the end of a message.
        check: looks at the values of a row together; raises a ValueError.
    """

    file: str
    columns: tuple[Column, ...]
    remedy: str
    check: Callable[[Mapping[str, Any]], None] | None = None

    @property
    def name(self) -> str:
        """The name of the file without its suffix."""
        return self.file.partition(".")[0]

    @property
    def names(self) -> list[str]:
        """The names of the columns in their order."""
        return [column.name for column in self.columns]

    def __getitem__(self, name: str) -> Column:
        """The column of this name."""
        return self.columns[self.names.index(name)]


def _texts(*names: str, optional: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, optional=optional) for name in names)


def _numbers(*names: str, optional: bool = False, least: float = -math.inf) -> tuple[Column, ...]:
    return tuple(Column(name, int, optional, least) for name in names)


def _optional(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple(column._replace(optional=True) for column in columns)


# ------------------------------------------------------------------------------------------ what a trial leaves

# With its summary in place, a trial may count as complete and would not run again.
_RUN_AGAIN = "remove the trial's summary.json and run it again, or move its folder away"
_TRIAL = _texts("trial")
_ENDED = Column("ended", optional=True, default="")  # `converged` or `budget`; earlier versions did not say
_TF32 = Column("tf32", bool, optional=True, default="")
# How many examples a trial was trained on, what the model that it began from had learnt, and which parameters stayed as
# they were; not in earlier versions.
TRAINED = (
    Column("train_examples", int, optional=True, default=""), Column("init_from", optional=True, default=""),
    Column("freeze", optional=True, default=""),
)  # fmt: skip
_LABELS = (*_texts("arch", "task"), *_numbers("vocabulary", "train_length", "min_train_length", "seed", "num_params"))
LABELS = (*_LABELS, *_texts("device"), _ENDED)  # of a trial, in every row of its results

TEXT = Table(  # what the summary of a trial on text says in addition
    "summary.json",
    (
        Column("decoding"), Column("signatures", dict), *_texts("source_language", "target_language", "test_name"),
        Column("attention", bool),
    ),
    _RUN_AGAIN,
)  # fmt: skip
SUMMARY = Table(
    "summary.json",
    (
        *_LABELS, *_texts("device"), *_numbers("threads"), *_texts("precision"), _TF32, *_numbers("steps"),
        Column("train_seconds", float), *_texts("version"), _ENDED, *TRAINED, Column("model", dict),
        Column("architecture", dict, optional=True),
    ),
    _RUN_AGAIN,
)  # fmt: skip
FAILURE = Table(
    "failure.json",
    (
        *_texts("status", "reason"), *_numbers("step", optional=True), *_texts("arch", "task", optional=True),
        *_numbers("train_length", "seed", optional=True),
    ),
    _RUN_AGAIN,
)  # fmt: skip
RESULTS = Table(
    "results.csv",
    (
        Column("split"), *_numbers("eval_length"),
        Column("bucket", pattern=BUCKET, expected="neither empty nor all nor one such as 1-10 or 61+", default=""),
        *_numbers("position", optional=True), Column("metric"), Column("value", float),
    ),
    _RUN_AGAIN,
)  # fmt: skip
HISTORY = Table(
    "history.csv",
    (*_numbers("step"), Column("seconds", float), *_texts("split", "metric"), Column("value", float, optional=True)),
    _RUN_AGAIN,
)
# BLEU's sufficient statistics of a sentence, in the order analysis.statistics.intervals expects.
BLEU_STATISTICS = [
    *(f"bleu_correct_{n}" for n in range(1, 5)), *(f"bleu_total_{n}" for n in range(1, 5)),
    "output_words", "reference_words",
]  # fmt: skip
_COUNTS = _numbers(*BLEU_STATISTICS, least=0)
SENTENCES = Table(
    "sentences.csv",
    (*_numbers("line", "source_length", least=0), *_texts("source", "reference", "output"), *_COUNTS),
    _RUN_AGAIN,
)
ATTENTION = Table(
    "attention.json",
    (*_texts("arch", "label"), Column("sentences", list)),
    "test this model again or move the file away",
)
ENVIRONMENT = Table(  # of trials and of probes
    "environment.json",
    (
        *_texts("commit", "device", "processor", optional=True), *_numbers("threads", optional=True),
        *_texts("platform", "python", optional=True), Column("packages", dict, optional=True),
    ),
    "run this again or move its folder away",
)  # fmt: skip

# ------------------------------------------------------------------------------------------ what a probe leaves


def _check_curve(row: Mapping[str, Any]) -> None:
    """A point of a curve has a distance and norms above 0; where gradients explode, other norms may be infinite."""
    if row["quantity"] in CURVES:
        for name in ("distance", "mean", "low", "high"):
            value = row[name]
            if value is None or not math.isfinite(value):
                raise ValueError(f"{name} is not a number: '{'' if value is None else value}'")
        if row["mean"] <= 0:
            raise ValueError(f"mean is not above 0: '{row['mean']}'")


_MEASURE_AGAIN = "measure again or move its folder away"
GRADIENTS = Table(
    "gradients.csv",
    (
        *_texts("arch", "variant", "task"), *_numbers("length", least=1), *_numbers("seed"),
        Column("phase", pattern=re.compile("|".join(PHASES)), expected=f"none of {', '.join(PHASES)}"),
        *_numbers("step"), *_texts("quantity"), *_numbers("distance", optional=True, least=1),
        *(Column(name, float, optional=True) for name in ("mean", "low", "high")),
        *_numbers("sequences", optional=True),
    ),
    _MEASURE_AGAIN,
    _check_curve,
)  # fmt: skip
PARALLELISM = Table(
    "parallelism.csv",
    (
        *_texts("device"), *_texts("processor", optional=True), *_numbers("threads", optional=True),
        *_texts("precision", "sweep"), *_texts("arch", optional=True),
        *_numbers("hidden_size", "num_params", "length", "batch_size", optional=True), *_texts("metric"),
        *(Column(name, float, optional=True) for name in ("median", "lower", "upper")),
        *_numbers("repeats", optional=True), *_texts("note", optional=True),
    ),
    _MEASURE_AGAIN,
)  # fmt: skip
PROBES = (PARALLELISM,)  # those whose tables a report shows as they are; gradients belong to trials
ARCHITECTURES = Table(  # what the architectures of a probe or of kept tables say of themselves
    "architectures.csv",
    (
        *_texts("arch", "display_name"), Column("attends", bool, optional=True), Column("windowed", bool),
        *_texts("recurrence", optional=True), *_texts("work", "sequential_operations", "path_length"),
    ),
    _MEASURE_AGAIN,
)  # fmt: skip

# ---------------------------------------------------------------- what a report keeps: one table for all trials

_WRITE_AGAIN = "write it again with lengthwise report, which keeps it in report_tables/"
# Tables of earlier versions do not have the latter: how many numbers a fixed context holds.
_WIDTHS = (*_numbers("hidden_size", optional=True), Column("context_size", int, optional=True, default=""))
_SHORTEST = Column("min_train_length", int, optional=True, default="")  # tables of earlier versions do not have it
TIDY = Table(
    "results.csv",
    (*_TRIAL, *(_SHORTEST if column.name == _SHORTEST.name else column for column in LABELS), *RESULTS.columns),
    _WRITE_AGAIN,
)
TRIALS = Table(
    "trials.csv",
    # Where the tidy table alone is known of a trial, all but its labels is missing.
    (
        *_TRIAL, *(column if column in LABELS else column._replace(optional=True) for column in SUMMARY.columns[:-2]),
        *_WIDTHS, *_optional((SUMMARY["model"], *TEXT.columns)),
    ),
    _WRITE_AGAIN,
)  # fmt: skip
KEPT_TRIALS = replace(TRIALS, columns=(*TRIALS.columns, *_texts("label")))  # the label is that of its line in figures
FAILURES = Table("failures.csv", (*_TRIAL, *FAILURE.columns), _WRITE_AGAIN)
KEPT_SENTENCES = Table(  # a digest stands for each reference
    "sentences.csv", (*_TRIAL, *(SENTENCES[name] for name in ("line", "source_length", "reference")), *_COUNTS),
    _WRITE_AGAIN,
)  # fmt: skip
LEARNING_CURVES = Table(
    "curves.csv", (*_TRIAL, *(HISTORY[name] for name in ("step", "seconds", "metric", "value"))), _WRITE_AGAIN
)
ENVIRONMENTS = Table("environment.csv", (*_TRIAL, *ENVIRONMENT.columns), _WRITE_AGAIN)
