"""The drawings of docs/architectures; `python docs/figures/architectures.py` writes a PNG for each beside itself.

A drawing is a set of named boxes and of arrows between them. Colours are those of every figure, see
analysis.figures.style.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import LOOKS, paper_style

HERE = Path(__file__).parent
LENGTH = 4  # tokens drawn of source and target
DECODER = LENGTH + 1.0  # where the decoder begins, a box apart
SHOWN = 2  # the target position whose attention is drawn, from 0
WEIGHTS = (0.08, 0.17, 0.6, 0.15)  # a made-up alignment of it
TIMES = r"$\times$"
QUIET, FAINT, INK = "#BBBBBB", "#777777", "#222222"
Point = tuple[float, float]


def box(axes: Axes, at: Point, text: str, color: str = INK, fill: str = "white") -> Point:
    """A label in a rounded box; returns its place."""
    style = {"boxstyle": "round,pad=0.28", "facecolor": fill, "edgecolor": color, "linewidth": 1.0}
    axes.text(*at, text, ha="center", va="center", fontsize=8, color=INK, bbox=style, zorder=3)
    return at


def word(axes: Axes, at: Point, text: str, color: str = INK, **look: object) -> Point:
    """A label without a box."""
    axes.text(*at, text, **{"ha": "center", "va": "center", "fontsize": 8, "color": color, "zorder": 3, **look})
    return at


def arrow(axes: Axes, begin: Point, end: Point, color: str = INK, width: float = 1.0, bend: float = 0.0) -> None:
    """An arrow between the edges of two boxes."""
    look = {"arrowstyle": "-|>", "color": color, "linewidth": width, "shrinkA": 9, "shrinkB": 9, "mutation_scale": 8}
    axes.annotate("", end, begin, arrowprops=look | {"connectionstyle": f"arc3,rad={bend}"}, zorder=2)


def chain(axes: Axes, left: float, name: str, inputs: str, first: int, color: str) -> list[Point]:
    """A recurrent layer: states side by side, each reading the one before and its token."""
    states = [(left + step, 1.0) for step in range(LENGTH)]
    for step, state in enumerate(states):
        box(axes, state, f"${name}_{step + 1}$", color)
        arrow(axes, word(axes, (state[0], 0.1), f"${inputs}_{step + first}$"), state)
    for one, following in pairwise(states):
        arrow(axes, one, following, color, 1.4)
    return states


def encoder_decoder(
    axes: Axes, color: str, names: tuple[str, str] = ("h", "s"), outputs: bool = True
) -> tuple[list[Point], list[Point]]:
    """The two chains of all recurrent architectures, joined by the encoder's final state."""
    source = chain(axes, 0.0, names[0], "x", 1, color)
    target = chain(axes, DECODER, names[1], "y", 0, color)
    arrow(axes, source[-1], target[0], color, 1.4)
    for step, state in enumerate(target if outputs else []):
        arrow(axes, state, word(axes, (state[0], 1.9), f"$y_{step + 1}$"), QUIET)
    word(axes, (1.5, -0.4), "encoder: reads the source", FAINT)
    word(axes, (DECODER + 1.5, -0.4), "decoder: writes the target", FAINT)
    return source, target


def fixed_context(axes: Axes, color: str) -> None:
    source, target = encoder_decoder(axes, color)
    arrow(axes, source[-1], target[0], color, 5.0)
    word(axes, (DECODER - 0.15, 1.55), "all that the decoder\nsees of the source", color, ha="right")


def rnn_cell(axes: Axes, color: str) -> None:
    before, token = word(axes, (0, 1.2), "$h_{t-1}$"), word(axes, (1.4, -0.1), "$x_t$")
    squash, after = box(axes, (1.4, 1.2), "tanh", color), word(axes, (2.8, 1.2), "$h_t$")
    for begin, end in ((before, squash), (token, squash), (squash, after)):
        arrow(axes, begin, end, color, 1.4)
    word(axes, (0.65, 1.4), "$U$")
    word(axes, (1.6, 0.5), "$W$")


def lstm_cell(axes: Axes, color: str) -> None:
    memory, forget = word(axes, (-0.2, 2.0), "$c_{t-1}$"), box(axes, (0.8, 2.0), TIMES, color)
    add, kept = box(axes, (1.8, 2.0), "+", color), word(axes, (4.0, 2.0), "$c_t$")
    for begin, end in ((memory, forget), (forget, add), (add, kept)):
        arrow(axes, begin, end, color, 2.2)
    inputs = word(axes, (-0.2, 0.0), "$h_{t-1}, x_t$")
    write = box(axes, (1.8, 1.2), TIMES, color)
    read = box(axes, (3.2, 1.2), TIMES, color)
    for at, gate, end in (((0.8, 0.6), "f", forget), ((1.5, 0.6), "i", write), ((2.2, 0.6), "g", write),
                          ((3.2, 0.6), "o", read)):  # fmt: skip
        arrow(axes, box(axes, at, f"${gate}$", INK), end)
        arrow(axes, (at[0], 0.0), at, QUIET)
    axes.plot([0.35, 3.2], [0.0, 0.0], color=QUIET, linewidth=1.0)
    arrow(axes, write, add)
    arrow(axes, (3.2, 2.0), read)
    arrow(axes, read, word(axes, (4.0, 1.2), "$h_t$"))
    word(axes, (3.4, 1.62), "tanh", ha="left", fontsize=7)
    word(axes, (inputs[0] + 2.1, 2.4), "added to, never multiplied by a matrix", color, fontsize=7)


def gru_cell(axes: Axes, color: str) -> None:
    before, keep = word(axes, (-0.2, 2.0), "$h_{t-1}$"), box(axes, (1.6, 2.0), TIMES, color)
    add, after = box(axes, (3.0, 2.0), "+", color), word(axes, (4.0, 2.0), "$h_t$")
    for begin, end in ((before, keep), (keep, add), (add, after)):
        arrow(axes, begin, end, color, 2.2)
    reset, new, write = box(axes, (0.6, 0.6), "$r$"), box(axes, (2.3, 0.6), "$n$"), box(axes, (3.0, 1.2), TIMES, color)
    update = box(axes, (1.6, 1.2), "$z$")
    arrow(axes, update, keep)
    arrow(axes, update, write)
    word(axes, (2.3, 1.38), "$1-z$", fontsize=7)
    arrow(axes, reset, new, bend=-0.35)
    arrow(axes, new, write)
    arrow(axes, write, add)
    for gate in (reset, update, new):
        arrow(axes, (gate[0], -0.1), gate, QUIET)
    axes.plot([0.35, 2.3], [-0.1, -0.1], color=QUIET, linewidth=1.0)
    word(axes, (-0.2, -0.1), "$h_{t-1}, x_t$")
    word(axes, (1.9, 2.4), "what the update gate keeps passes unchanged", color, fontsize=7)


def min_gru_cell(axes: Axes, color: str) -> None:
    before, keep = word(axes, (-0.2, 2.0), "$h_{t-1}$"), box(axes, (1.2, 2.0), TIMES, color)
    add, after = box(axes, (2.8, 2.0), "+", color), word(axes, (4.0, 2.0), "$h_t$")
    for begin, end in ((before, keep), (keep, add), (add, after)):
        arrow(axes, begin, end, color, 2.2)
    gate, write = box(axes, (1.2, 0.8), "$z$"), box(axes, (2.8, 1.3), TIMES, color)
    new = box(axes, (2.8, 0.5), r"$\tilde{h}$")
    arrow(axes, gate, keep)
    arrow(axes, gate, write)
    arrow(axes, new, write)
    arrow(axes, write, add)
    word(axes, (0.85, 1.4), "$1-z$", fontsize=7)
    for end in (gate, new):
        arrow(axes, (end[0], -0.3), end, QUIET)
    axes.plot([0.1, 2.8], [-0.3, -0.3], color=QUIET, linewidth=1.0)
    word(axes, (-0.2, -0.3), "$x_t$")
    word(axes, (1.9, 2.45), "no gate reads the state: linear in it", color, fontsize=7)


def selective_ssm_cell(axes: Axes, color: str) -> None:
    for line, (height, rate) in enumerate(((2.3, "slow"), (1.8, ""), (1.3, "fast"))):
        before = word(axes, (-0.3, height), f"$h_{{t-1}}^{line + 1}$", fontsize=7)
        keep, add = box(axes, (0.8, height), TIMES, color), box(axes, (2.0, height), "+", color)
        read = (3.2, 1.8)
        for begin, end, width in ((before, keep, 2.2), (keep, add, 2.2), (add, read, 1.2)):
            arrow(axes, begin, end, color, width)
        word(axes, (1.4, height + 0.16), rate, FAINT, fontsize=7)
    box(axes, read, "$C_t$")
    arrow(axes, read, word(axes, (4.2, 1.8), "$y_t$"), color)
    step, write = box(axes, (0.8, 0.4), r"$\Delta_t$"), box(axes, (2.0, 0.4), r"$\Delta_t B_t$")
    arrow(axes, step, (0.8, 1.3))
    arrow(axes, write, (2.0, 1.3))
    for end in (step, write):
        arrow(axes, (end[0], -0.4), end, QUIET)
    arrow(axes, (3.2, -0.4), read, QUIET)
    axes.plot([0.0, 3.2], [-0.4, -0.4], color=QUIET, linewidth=1.0)
    word(axes, (-0.3, -0.4), "$x_t$")


def delta_net_cell(axes: Axes, color: str) -> None:
    before, keep = word(axes, (-0.3, 2.0), "$S_{t-1}$"), box(axes, (0.7, 2.0), r"$\alpha_t$", color)
    add, after = box(axes, (3.0, 2.0), "+", color), word(axes, (4.0, 2.0), "$S_t$")
    for begin, end in ((before, keep), (keep, add), (add, after)):
        arrow(axes, begin, end, color, 2.2)
    held, less = box(axes, (1.5, 1.1), "$k_t$"), box(axes, (2.3, 1.1), "$-$", color)
    write = box(axes, (3.0, 1.1), r"$\beta_t k_t$")
    arrow(axes, (1.5, 2.0), held, color)
    arrow(axes, held, less, color)
    arrow(axes, less, write, color)
    arrow(axes, write, add, color)
    arrow(axes, word(axes, (2.3, 0.2), "$v_t$"), less)
    word(axes, (1.15, 1.52), "held of $k_t$", FAINT, ha="right", fontsize=7)
    word(axes, (2.0, -0.3), "writes the difference, not the value", color, fontsize=7)


def look(axes: Axes, source: list[Point], context: Point, weights: tuple[float, ...], color: str) -> None:
    """Lines from source states to a context, as thick as their weights."""
    for state, weight in zip(source, weights, strict=True):
        if weight:
            arrow(axes, state, context, color, 0.5 + 5 * weight)


def bahdanau(axes: Axes, color: str) -> None:
    source, target = encoder_decoder(axes, color)
    context = box(axes, (LENGTH + 0.6, 2.6), f"$c_{SHOWN + 1}$", color)
    look(axes, source, context, WEIGHTS, color)
    arrow(axes, target[SHOWN - 1], context, INK, 0.8)
    arrow(axes, context, target[SHOWN], color, 2.2, bend=-0.35)
    word(axes, (DECODER + 1.2, 2.75), r"asked by the state before, $s_2$;" "\n" r"read by the next, $s_3$", ha="left")


def luong(axes: Axes, color: str, weights: tuple[float, ...]) -> None:
    source, target = encoder_decoder(axes, color, (r"\bar{h}", "h"), outputs=False)
    context = box(axes, (LENGTH + 0.6, 2.6), f"$c_{SHOWN + 1}$", color)
    attentional = box(axes, (target[SHOWN][0], 2.6), rf"$\tilde{{h}}_{SHOWN + 1}$", color)
    look(axes, source, context, weights, color)
    arrow(axes, target[SHOWN], context, INK, 0.8)
    arrow(axes, context, attentional, color, 2.2)
    arrow(axes, target[SHOWN], attentional, color)
    arrow(axes, attentional, word(axes, (target[SHOWN][0], 3.4), f"$y_{SHOWN + 1}$"), QUIET)
    word(axes, (DECODER + 0.1, 1.55), "asked by the\nstate itself", ha="right", fontsize=7)


def luong_global(axes: Axes, color: str) -> None:
    luong(axes, color, WEIGHTS)


def luong_local(axes: Axes, color: str) -> None:
    luong(axes, color, (0.0, *WEIGHTS[1:]))
    places = np.linspace(0.55, 3.45, 60)
    axes.fill_between(places, 1.35, 1.35 + 0.7 * np.exp(-((places - 2.1) ** 2) / 0.5), color=color, alpha=0.2, zorder=1)
    axes.axvspan(0.5, 3.5, 0.22, 0.5, color=color, alpha=0.08, zorder=0)
    word(axes, (2.1, 2.15), "$p_3$")
    word(axes, (0.2, 1.7), "window\n$p_t \\pm D$", color)


def transformer(axes: Axes, color: str) -> None:
    sides = []
    for left, name, inputs, first, causal in ((0.0, "h", "x", 1, False), (DECODER, "s", "y", 0, True)):
        below, above = ([(left + step, height) for step in range(LENGTH)] for height in (1.0, 2.4))
        for step in range(LENGTH):
            arrow(axes, word(axes, (left + step, 0.1), f"${inputs}_{step + first}$"), below[step])
            box(axes, below[step], f"$e_{step + 1}$", color)
            box(axes, above[step], f"${name}_{step + 1}$", color)
            for reader in range(step if causal else 0, LENGTH):
                arrow(axes, below[step], above[reader], color, 0.7)
        sides.append(above)
    source, target = sides
    for state, weight in zip(source, WEIGHTS, strict=True):
        arrow(axes, state, target[SHOWN], color, 0.5 + 4 * weight, bend=-0.3)
    for step, state in enumerate(target):
        arrow(axes, state, word(axes, (state[0], 3.3), f"$y_{step + 1}$"), QUIET)
    word(axes, (1.5, -0.4), "encoder: every token reads all", FAINT)
    word(axes, (DECODER + 1.5, -0.4), "decoder: every token reads those before it", FAINT)


def decoder_only(axes: Axes, color: str) -> None:
    tokens = (
        [f"$x_{step + 1}$" for step in range(LENGTH)] + [r"$y_0$"] + [f"$y_{step + 1}$" for step in range(LENGTH - 1)]
    )
    below, above = ([(float(step), height) for step in range(len(tokens))] for height in (1.0, 2.4))
    reader = LENGTH + SHOWN
    for step, token in enumerate(tokens):
        arrow(axes, word(axes, (step, 0.1), token), below[step])
        box(axes, below[step], f"$e_{step + 1}$", color)
        box(axes, above[step], f"$h_{step + 1}$", color)
        for later in range(step, len(tokens)):
            if later != reader:
                arrow(axes, below[step], above[later], QUIET, 0.5)
    for step in range(reader + 1):
        arrow(axes, below[step], above[reader], color, 1.8)
    for step in range(LENGTH):
        arrow(axes, above[LENGTH + step], word(axes, (LENGTH + step, 3.3), f"$y_{step + 1}$"), QUIET)
    word(axes, (1.5, -0.4), "source", FAINT)
    word(axes, (LENGTH + 1.5, -0.4), "separator and target: every token reads all before it", FAINT)


def encoder_only(axes: Axes, color: str) -> None:
    below, above = ([(1.8 * step, height) for step in range(LENGTH + 1)] for height in (1.0, 2.4))
    for step, token in enumerate([*(f"$x_{step + 1}$" for step in range(LENGTH)), "end"]):
        arrow(axes, word(axes, (below[step][0], 0.1), token), below[step])
        box(axes, below[step], f"$e_{step + 1}$", color)
        box(axes, above[step], f"$h_{step + 1}$", color)
        for reader in range(LENGTH + 1):
            shown = reader == SHOWN
            arrow(axes, below[step], above[reader], color if shown else QUIET, 1.8 if shown else 0.5)
        output = f"$y_{step + 1}$" if step < LENGTH else "EOS"
        arrow(axes, above[step], word(axes, (above[step][0], 3.3), output), QUIET)
    word(axes, (1.8 * LENGTH / 2, -0.4), "every token reads all; every output is made at once", FAINT)


DRAWINGS: dict[str, tuple[str, list[Callable[[Axes, str], None]]]] = {
    "VanillaRNN": ("vanilla_rnn", [fixed_context, rnn_cell]),
    "LSTM": ("lstm", [fixed_context, lstm_cell]),
    "GRU": ("gru", [fixed_context, gru_cell]),
    "MinGRU": ("min_gru", [fixed_context, min_gru_cell]),
    "SelectiveSSM": ("selective_ssm", [fixed_context, selective_ssm_cell]),
    "DeltaNet": ("delta_net", [fixed_context, delta_net_cell]),
    "Bahdanau": ("bahdanau", [bahdanau]),
    "LuongGlobal": ("luong_global", [luong_global]),
    "LuongLocal": ("luong_local", [luong_local]),
    "Transformer": ("transformer", [transformer]),
    "DecoderOnly": ("decoder_only", [decoder_only]),
    "EncoderOnly": ("encoder_only", [encoder_only]),
}


def draw(arch: str) -> Figure:
    """The drawing of an architecture, all panels at one scale."""
    _, panels = DRAWINGS[arch]
    color = LOOKS[arch][0]
    height, widths = 2.0 if len(panels) > 1 else 2.5, [9.0, 5.2][: len(panels)]
    with paper_style():
        figure = Figure(figsize=(0.5 * sum(widths), height), layout="constrained")
        grid = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
        for axes, panel, width in zip(grid, panels, widths, strict=True):
            panel(axes, color)
            axes.set_xlim(-0.6, width - 0.4) if panel is panels[0] else axes.set_xlim(-0.8, width - 0.8)
            axes.set_ylim(-0.7, 2.7 if len(panels) > 1 else 3.7)
            axes.axis("off")
    return figure


if __name__ == "__main__":
    for arch, (name, _) in DRAWINGS.items():
        draw(arch).savefig(HERE / f"architecture_{name}.png", dpi=160)
