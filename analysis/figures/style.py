"""How each architecture looks in every figure, and how figures are set.

Architectures with one fixed-size context have warm colours and broken lines, those with attention cool colours
and full lines. The colours of the seven that the reference sweeps compare are those of Okabe & Ito (2008), told
apart with any colour vision; the markers tell the lines apart in grey.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from matplotlib import rc_context

from analysis.tables.architectures import Architectures

COLUMN_WIDTH = 3.3  # inches, of a two-column page
TEXT_WIDTH = 6.9
LINE_ID = "line~"  # what ids of lines begin with


class Style(NamedTuple):
    """Display name, colour, marker and line style of one architecture."""

    name: str
    color: str
    marker: str
    line: Any

    def of_line(self) -> dict[str, Any]:
        """The keywords of matplotlib's plot."""
        return {"color": self.color, "marker": self.marker, "linestyle": self.line, "label": self.name}


# Colour, marker and line style.
LOOKS: dict[str, tuple[str, str, Any]] = {
    "VanillaRNN": ("#E69F00", "v", (0, (1, 1))),
    "LSTM": ("#D55E00", "s", (0, (4, 1.2))),
    "GRU": ("#CC79A7", "D", (0, (4, 1, 1, 1))),
    "MinGRU": ("#AA4499", "p", (0, (2, 1, 1, 1))),
    "SelectiveSSM": ("#CC6677", "h", (0, (6, 1.5))),
    "DeltaNet": ("#994F00", "*", (0, (6, 1.5, 1, 1.5))),
    "Bahdanau": ("#0072B2", "o", "-"),
    "LuongGlobal": ("#56B4E9", "^", "-"),
    "LuongLocal": ("#009E73", "P", "-"),
    "Transformer": ("#000000", "X", "-"),
    "DecoderOnly": ("#666666", "d", "-"),
    "EncoderOnly": ("#44AA99", "H", "-"),
}

# For architectures that are not listed above: further colours (Tol 2021, muted), markers and lines. Their
# numbers share no divisor, so that the combinations repeat only after 5 x 7 x 2 architectures.
FURTHER_COLORS = ("#332288", "#882255", "#999933", "#117733", "#661100")
FURTHER_MARKERS = ("*", "<", "h", ">", "p", "d", "8")
FURTHER_LINES = ((0, (6, 1.5)), (0, (6, 1.5, 1, 1.5)))

PAPER: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "pdf.fonttype": 42,  # TrueType: journals refuse the default, Type 3
    "savefig.facecolor": "white",
}


def styles(lines: Iterable[str], architectures: Architectures) -> dict[str, Style]:
    """The style of each line, an architecture or a variant of one, in the order of legends and tables.

    A line without an entry in `LOOKS` gets a colour and a marker of its own, which depend on nothing but the set of
    names.
    """
    looks = {}
    further = 0
    for line, name in architectures.names(lines).items():
        if line in LOOKS:
            looks[line] = Style(name, *LOOKS[line])
            continue
        looks[line] = Style(
            name,
            FURTHER_COLORS[further % len(FURTHER_COLORS)],
            FURTHER_MARKERS[further % len(FURTHER_MARKERS)],
            FURTHER_LINES[further % len(FURTHER_LINES)],
        )
        further += 1
    return looks


def styles_of(looks: dict[str, Style], lines: Iterable[str]) -> list[Style]:
    """The styles of those lines that are among `lines`, in the order of `looks`."""
    shown = set(lines)
    return [look for line, look in looks.items() if line in shown]


def guide(label: str, linestyle: str = ":") -> dict[str, Any]:
    """The keywords of a line that is no measurement."""
    return {"color": "#707070", "linewidth": 0.9, "linestyle": linestyle, "label": label}


CHANCE = guide("chance")
TRAIN_LENGTH = guide("train length", "--")


def paper_style():
    """Context in which figures are drawn at their printed size, legible in a paper's column."""
    return rc_context(PAPER)


def gid(name: str, axes: Any, part: str) -> str:
    """The id in an SVG of what belongs to a line: by it, a page shows and hides an architecture.

    Args:
        name: display name of the architecture.
        axes: the panel; ids are unique within a figure.
        part: what of the line it is.
    """
    return f"{LINE_ID}{name}~{axes.figure.axes.index(axes)}~{part}"
