"""What each architecture says of itself: how it is judged, drawn and tabulated.

A trial writes it into its summary under the key `architecture`. Older tables say nothing; what they may hold, the
architectures that come with the suite, is filled in here.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Architecture(NamedTuple):
    """What is known of the architecture of a class.

    Attributes:
        arch: name of the class.
        display_name: name in figures and tables.
        attends: whether it attends to the source; False where a fixed-size context is all that it hands over; None
            where neither is known.
        windowed: it attends within a window only, so that no attention path leads to tokens outside.
        recurrence: `plain`, `gated` or `linear`, where a recurrence alone carries the source to the loss; None for
            others.
        work: theory of a training step, n tokens long and d units wide, as in Vaswani et al. (2017, Table 1).
        sequential_operations: operations that wait for each other, as there.
        path_length: the longest path between two positions, as there.
    """

    arch: str
    display_name: str
    attends: bool | None = None
    windowed: bool = False
    recurrence: str | None = None
    work: str = "-"
    sequential_operations: str = "-"
    path_length: str = "-"


_RECURRENT: dict[str, Any] = {"work": "n·d²", "sequential_operations": "O(n)", "path_length": "O(n)"}
_LINEAR: dict[str, Any] = {"work": "n·d²", "sequential_operations": "O(log n)", "path_length": "O(log n)"}
_ATTENDING: dict[str, Any] = {"work": "n·d² + n²·d", "sequential_operations": "O(n)", "path_length": "O(1)"}
_AT_ONCE: dict[str, Any] = {**_ATTENDING, "sequential_operations": "O(1)"}
BUILT_IN = (  # in the order of legends and tables
    Architecture("VanillaRNN", "Vanilla RNN", attends=False, recurrence="plain", **_RECURRENT),
    Architecture("LSTM", "LSTM", attends=False, recurrence="gated", **_RECURRENT),
    Architecture("GRU", "GRU", attends=False, recurrence="gated", **_RECURRENT),
    Architecture("MinGRU", "MinGRU", attends=False, recurrence="linear", **_LINEAR),
    Architecture("SelectiveSSM", "Selective SSM", attends=False, recurrence="linear", **_LINEAR),
    Architecture("DeltaNet", "DeltaNet", attends=False, recurrence="linear", **_LINEAR),
    Architecture("Bahdanau", "Bahdanau attention", attends=True, **_ATTENDING),
    Architecture("LuongGlobal", "Luong global", attends=True, **_ATTENDING),
    # Outside its window the way leads through the encoder.
    Architecture("LuongLocal", "Luong local", attends=True, windowed=True, **{**_ATTENDING, "path_length": "O(n)"}),
    Architecture("Transformer", "Transformer", attends=True, **_AT_ONCE),
    Architecture("DecoderOnly", "Decoder-only", attends=True, **_AT_ONCE),
    Architecture("EncoderOnly", "Encoder-only", attends=True, **_AT_ONCE),
)
_ORDER = [architecture.arch for architecture in BUILT_IN]


class Architectures(dict[str, Architecture]):
    """Architectures by the name of their class. An unknown class has its name as display name and nothing else.

    Indexing takes the name of a line such as `GRU [hidden_size=64]` as well; that is a GRU.
    """

    def __init__(self, stated: Iterable[Architecture] = ()):
        super().__init__({architecture.arch: architecture for architecture in (*BUILT_IN, *stated)})

    def __missing__(self, line: str) -> Architecture:
        arch = class_of(line)
        return self.get(arch, Architecture(arch, arch))

    def names(self, lines: Iterable[str]) -> dict[str, str]:
        """The display name of each line, in the order of legends and tables.

        Architectures that do not come with the suite are last, by name.
        """
        return {
            line: self[line].display_name + line.removeprefix(class_of(line)) for line in sorted(set(lines), key=_place)
        }


def class_of(line: str) -> str:
    """The class of a line such as `GRU [hidden_size=64]`."""
    return line.partition(" [")[0]


def options_of(line: str) -> str:
    """What sets a line apart, `hidden_size=64`; empty for defaults."""
    return line.partition(" [")[2].removesuffix("]")


def stated_by(summary: Mapping[str, Any]) -> list[Architecture]:
    """What the summary of a trial states of its architecture under `architecture`.

    A class that does not say whether it attends, or whose trial is older than that key, is taken by what its trial on
    text returned: the summary's `attention`. Nothing is stated by older trials of the architectures of the suite.
    """
    arch, description = summary["arch"], summary.get("architecture")
    if description is None and (arch in _ORDER or "attention" not in summary):
        return []
    fields = {name: value for name, value in (description or {}).items() if name in Architecture._fields[1:]}
    if fields.get("attends") is None:
        fields["attends"] = summary.get("attention")
    return [Architecture(**{"arch": arch, "display_name": arch, **fields})]


def _place(line: str) -> tuple[int, list[tuple[int, str]]]:
    """By class, then by name, with the numbers in names by their size: `hidden_size=64` before `=128`."""
    parts = [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", line)]
    return (_ORDER.index(class_of(line)) if class_of(line) in _ORDER else len(_ORDER), parts)
