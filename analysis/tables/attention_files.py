"""Reads attention.json of trials: what models with attention attended to in some sentences of the test set.

Shapes: T target and S source pieces.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.tables.readers import check_keys, corrupt, read_json
from analysis.tables.schema import ATTENTION, Column
from analysis.tables.trial_folders import files_named

EXAMPLE = "a test example of "  # what the name of an example of symbols begins with
HEAD = re.compile(r"layer (\d+) head (\d+)")
ROUNDING = 1e-3  # how far above 1 a weight of half precision may be


@dataclass(frozen=True)
class Sentence:
    """What one model attended to while it wrote one sentence.

    Attributes:
        id: the number of the sentence in the test set; of an example of symbols, a number made of it.
        name: what captions call it.
        source: S source pieces.
        target: T pieces of the model's own output, `</s>` included.
        attention: (T, S) weights; each row sums to 1.
        heads: (T, S) weights of each `(layer, head)`, both counted from 1; empty for a model without heads.
    """

    id: int
    name: str
    source: list[str]
    target: list[str]
    attention: np.ndarray
    heads: dict[tuple[int, int], np.ndarray]

    @property
    def example(self) -> str:
        """`copy, 10 tokens` of an example of symbols; empty of a sentence of text."""
        return self.name.removeprefix(EXAMPLE) if self.name.startswith(EXAMPLE) else ""


@dataclass(frozen=True)
class AttentionFile:
    """The attention.json of one trial: its architecture, how figures label it, and its sentences by id."""

    path: Path
    arch: str
    label: str
    sentences: dict[int, Sentence]


def read_attention(path: Path) -> AttentionFile:
    """Read the attention.json of a trial.

    Raises:
        ReportError: a file that cannot be read, or in which something is missing or does not fit.
    """
    content = read_json(path, ATTENTION)
    check_keys(path, content, ATTENTION)
    try:
        sentences = [_sentence(entry) for entry in content["sentences"]]
    except ValueError as error:
        raise corrupt(path, str(error), ATTENTION) from error
    repeated = [number for number, count in Counter(sentence.id for sentence in sentences).items() if count > 1]
    if repeated:
        raise corrupt(path, f"has sentence {repeated[0]} twice", ATTENTION)
    return AttentionFile(path, content["arch"], content["label"], {sentence.id: sentence for sentence in sentences})


def find_attention(runs: Sequence[str | Path]) -> list[AttentionFile]:
    """The attention files at or below the given folders, one a label: the first, as seeds share it; maybe none.

    Raises:
        ReportError: a path that is no folder, or a file that cannot be understood.
    """
    files: dict[str, AttentionFile] = {}
    for file in map(read_attention, files_named(ATTENTION.file, runs)):
        files.setdefault(file.label, file)
    return list(files.values())


def _typed(entry: Any, key: str, kind: type) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f"a sentence is {entry!r}, not an object")
    Column(key, kind).check(entry)
    return entry[key]


def _sentence(entry: Any) -> Sentence:
    number = _typed(entry, "id", int)
    source, target = _tokens(entry, "source"), _tokens(entry, "target")
    heads = entry.get("heads") or {}
    if not isinstance(heads, dict):
        raise ValueError(f"sentence {number}: 'heads' is neither null nor an object")
    shape = len(target), len(source)
    return Sentence(
        id=number,
        name=_typed(entry, "name", str) if "name" in entry else f"source sentence {number}",
        source=source,
        target=target,
        attention=_weights(entry.get("attention"), shape, f"sentence {number}: 'attention'"),
        heads={_head(name): _weights(one, shape, f"sentence {number}: '{name}'") for name, one in heads.items()},
    )


def _tokens(entry: Any, key: str) -> list[str]:
    tokens = _typed(entry, key, list)
    if not tokens or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"sentence {entry['id']}: '{key}' is empty or holds something that is not text")
    return tokens


def _head(name: str) -> tuple[int, int]:
    match = HEAD.fullmatch(name)
    if not match:
        raise ValueError(f"'{name}' is no head; they are called 'layer 1 head 1'")
    return int(match[1]), int(match[2])


def _weights(rows: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    try:
        weights = np.asarray(rows)
    except ValueError:  # rows of different lengths
        weights = np.empty(0)
    if weights.shape != shape or weights.dtype.kind not in "fi":
        raise ValueError(f"{what} is not {shape[0]} rows of {shape[1]} numbers")
    if not ((weights >= 0) & (weights <= 1 + ROUNDING)).all():
        raise ValueError(f"{what} has weights outside 0…1")
    return weights.astype(float)
