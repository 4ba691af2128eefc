"""Heatmaps of attention with the words on both axes, as in Bahdanau et al. (2015, Figure 3).

Each figure shows what the models attended to while they wrote their own output for one source sentence, as their
trials left it in attention.json. Alone:

    python -m analysis.alignments RUNS... [--output DIR] [--sentences ID...] [--pieces]

Shapes: T target and S source pieces, or words.
"""

import argparse
import json
import re
import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from analysis.bottleneck import Chart
from analysis.errors import ReportError
from analysis.files import replacing
from analysis.frames import Frame
from analysis.load_runs import walk
from analysis.pharaoh import project_to_words, words_from_pieces, words_of_pieces
from analysis.style import TEXT_WIDTH, paper_style, save_figure, styles
from analysis.wandb_runs import local_folder

ATTENTION_FILE = "attention.json"
MOST_FIGURES = 4
MOST_COLUMNS = 3
HEAD = re.compile(r"layer (\d+) head (\d+)")
SUFFIXES = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # same figure, same bytes

# Sizes in inches, those of fonts in points.
LARGEST_CELL = 0.24
LARGEST_FONT = 7.5
LEAST_FONT = 5.0
LINE_HEIGHT = 0.82  # of a cell, which its word fills without touching the next
GAP = 0.14
MARGIN = 0.04
TITLE_LINE = 0.14
TITLE_LETTER = 0.065  # the mean of a line, generously
WORD_PAD = 0.3  # of the font size, on both sides of a word
HINTING = 1.08  # how much wider small letters are on the grid of pixels than in theory
SMALLEST_HEAD = 0.45  # what `layer 1` and `head 1` take beside and above a panel
NARROWEST_PANEL = 1.6  # with the words beside it; a title needs some room
FINEST_GRID = 0.06  # below this size of a cell, lines between cells would outshine them
LONGEST_WORD = 16  # characters; longer words are cut in the drawing, not in the points
ROUNDING = 1e-3  # how far above 1 a weight of half precision may be


class Map(NamedTuple):
    """One panel: weights (T, S) with what stands on its axes."""

    title: str
    source: list[str]
    target: list[str]
    weights: np.ndarray


@dataclass(frozen=True)
class Sentence:
    """What one model attended to while it wrote one sentence.

    Attributes:
        id: the number of the sentence in the test set.
        source: S source pieces.
        target: T pieces of the model's own output, `</s>` included.
        attention: (T, S) weights; each row sums to 1.
        heads: (T, S) weights of each `(layer, head)`, both counted from 1; empty for a model without heads.
    """

    id: int
    source: list[str]
    target: list[str]
    attention: np.ndarray
    heads: dict[tuple[int, int], np.ndarray]


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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _corrupt(path, "is no valid JSON") from error
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    try:
        arch, label = (_typed(content, key, str) for key in ("arch", "label"))
        sentences = [_sentence(entry) for entry in _typed(content, "sentences", list)]
    except ValueError as error:
        raise _corrupt(path, str(error)) from error
    repeated = [number for number, count in Counter(sentence.id for sentence in sentences).items() if count > 1]
    if repeated:
        raise _corrupt(path, f"has sentence {repeated[0]} twice")
    return AttentionFile(path, arch, label, {sentence.id: sentence for sentence in sentences})


def alignment_figure(files: Sequence[AttentionFile], sentence_id: int, pieces: bool = False) -> Chart:
    """What each model attended to in one source sentence, a panel a model, each beside its own output.

    Args:
        files: one file a model; those without this sentence get no panel.
        sentence_id: which sentence.
        pieces: show the pieces the models read and write instead of the words they make up.

    Raises:
        ReportError: no file has the sentence, or two have another source under its id.
    """
    shown = [file for name in styles(file.arch for file in files) for file in files if file.arch == name]
    shown = [file for file in shown if sentence_id in file.sentences]
    if not shown:
        raise ReportError(f"no {ATTENTION_FILE} has sentence {sentence_id}; it has {_some_ids(files)}")
    _check_same_source(shown, sentence_id)
    maps = [_map(file.label, file.sentences[sentence_id], pieces) for file in shown]
    points = pd.concat(
        [_points(one, arch=file.arch, label=file.label, id=sentence_id) for file, one in zip(shown, maps, strict=True)],
        ignore_index=True,
    )
    caption = (
        f"Attention while each model wrote its own output (rows) for source sentence {sentence_id} (columns), from "
        f"white, 0, to black, 1. {_unit(pieces)} Drawn as in Bahdanau et al. (2015, Figure 3)."
    )
    return Chart(f"alignment_{sentence_id}", _side_by_side(maps), points, caption)


def heads_figure(file: AttentionFile, sentence_id: int, pieces: bool = False) -> Chart:
    """The attention of every head of one model in one sentence: layers are rows, heads are columns.

    Args:
        file: the file of a model with heads.
        sentence_id: which sentence.
        pieces: show the pieces the model reads and writes instead of the words they make up.

    Raises:
        ReportError: the file lacks the sentence, or its heads.
    """
    if sentence_id not in file.sentences:
        raise ReportError(f"{file.path} has no sentence {sentence_id}; it has {_some_ids([file])}")
    sentence = file.sentences[sentence_id]
    if not sentence.heads:
        raise ReportError(f"{file.path}: sentence {sentence_id} has no heads; choose a model with several")
    maps = {place: _map("", sentence, pieces, weights) for place, weights in sorted(sentence.heads.items())}
    points = pd.concat(
        [
            _points(one, arch=file.arch, label=file.label, id=sentence_id, layer=layer, head=head)
            for (layer, head), one in maps.items()
        ],
        ignore_index=True,
    )
    figure, labelled = _grid_of_heads(maps)
    order = "" if labelled else " Columns are the source from left to right, rows the output from top to bottom."
    caption = (
        f"Attention of every head of {file.label} while it wrote its own output for source sentence {sentence_id}, "
        f"from white, 0, to black, 1. {_unit(pieces)}{order}"
    )
    return Chart(f"heads_{_slug(file.arch)}_{sentence_id}", figure, points, caption)


def draw_attention(path: Path, source: list[str], target: list[str], attention: Any, title: str = "") -> None:
    """Draw the attention of one sentence and write it to a file.

    Args:
        path: where to; the suffix .png, .pdf or .svg says in which format.
        source: S words or pieces, written above the columns as they are.
        target: T words or pieces, written beside the rows.
        attention: (T, S) weights, from 0, white, to 1, black.
        title: a line above the figure.

    Raises:
        ReportError: another suffix.
        ValueError: weights of another shape.
        OSError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ReportError(f"{path}: figures are written as {', '.join(SUFFIXES)}; give a name that ends in one of them")
    weights = np.asarray(attention, dtype=float)
    if weights.shape != (len(target), len(source)):
        raise ValueError(f"attention of shape {weights.shape} over {len(target)} target and {len(source)} source words")
    figure = _side_by_side([Map(title, source, target, weights)])
    # Letters of an SVG stay letters: the viewer's fonts show scripts that the drawing font lacks.
    as_text = rc_context({"svg.fonttype": "none", "svg.hashsalt": "attention"})
    with replacing(path) as temporary, paper_style(), as_text, _missing_glyphs_unmentioned():
        figure.savefig(temporary, format=suffix[1:], dpi=200, metadata=SUFFIXES[suffix])


def save_chart(chart: Chart, folder: Path) -> dict[str, Path]:
    """Write PNG, PDF and CSV of a figure of this module; letters that the font lacks become boxes, silently.

    Raises:
        OSError: the folder cannot be written.
    """
    with _missing_glyphs_unmentioned():
        return save_figure(chart.figure, chart.points, folder, chart.name)


def find_attention(runs: Sequence[str | Path]) -> list[AttentionFile]:
    """The attention files at or below the given folders, one a label: the first, as seeds share it; maybe none.

    Raises:
        ReportError: a path that is no folder, or a file that cannot be understood.
    """
    found = walk(runs, "the folder of a trial or of a sweep")
    paths = [folder / ATTENTION_FILE for folder, _, names in found if ATTENTION_FILE in names]
    files: dict[str, AttentionFile] = {}
    for file in map(read_attention, paths):
        files.setdefault(file.label, file)
    return list(files.values())


def common_sentences(files: Iterable[AttentionFile], most: int = MOST_FIGURES) -> list[int]:
    """The ids worth a figure: those that most files have, then the lowest; in ascending order."""
    counts = Counter(number for file in files for number in file.sentences)
    return sorted(sorted(counts, key=lambda number: (-counts[number], number))[:most])


def alignment_charts(files: Sequence[AttentionFile], ids: Iterable[int], pieces: bool = False) -> Iterator[Chart]:
    """The figure of each sentence, and of the heads of every model that has some; no two of one name.

    Raises:
        ReportError: see `alignment_figure`.
    """
    names: Counter[str] = Counter()
    for number in ids:
        yield alignment_figure(files, number, pieces)
        for file in files:
            if number in file.sentences and file.sentences[number].heads:
                chart = heads_figure(file, number, pieces)
                names[chart.name] += 1
                again = f"_{names[chart.name]}" if names[chart.name] > 1 else ""
                yield chart._replace(name=chart.name + again)


def _typed(entry: Any, key: str, kind: type) -> Any:
    if not isinstance(entry, dict) or type(entry.get(key)) is not kind:
        kinds = {str: "text", list: "a list", int: "a whole number"}
        raise ValueError(f"'{key}' is missing or not {kinds[kind]}")
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
    found = HEAD.fullmatch(name)
    if not found:
        raise ValueError(f"'{name}' is no head; they are called 'layer 1 head 1'")
    return int(found[1]), int(found[2])


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


def _corrupt(path: Path, problem: str) -> ReportError:
    return ReportError(f"{path}: {problem}; test this model again or move the file away")


def _some_ids(files: Sequence[AttentionFile]) -> str:
    ids = sorted({number for file in files for number in file.sentences})
    return ", ".join(map(str, ids[:10])) + (", …" if len(ids) > 10 else "") if ids else "none"


def _check_same_source(files: Sequence[AttentionFile], number: int) -> None:
    first, *others = files
    for other in others:
        if words_from_pieces(other.sentences[number].source) != words_from_pieces(first.sentences[number].source):
            raise ReportError(
                f"{first.path} and {other.path} have different sources as sentence {number}; draw these runs apart"
            )


def _map(title: str, sentence: Sentence, pieces: bool, weights: np.ndarray | None = None) -> Map:
    weights = sentence.attention if weights is None else weights
    if pieces:
        return Map(title, sentence.source, sentence.target, weights)
    between_words = project_to_words(weights, words_of_pieces(sentence.source), words_of_pieces(sentence.target))
    return Map(title, words_from_pieces(sentence.source), words_from_pieces(sentence.target), between_words)


def _points(one: Map, **columns: Any) -> Frame:
    """A row a cell, positions counted from 1."""
    rows, places = np.indices(one.weights.shape)
    return pd.DataFrame(
        {
            **columns,
            "target_position": rows.ravel() + 1,
            "target": np.repeat(one.target, len(one.source)),
            "source_position": places.ravel() + 1,
            "source": np.tile(one.source, len(one.target)),
            "weight": one.weights.ravel(),
        }
    )


def _unit(pieces: bool) -> str:
    if pieces:
        return "Pieces as the models read and write them."
    return "Weights are summed over the pieces of a source word and averaged over those of an output word."


def _side_by_side(maps: Sequence[Map]) -> Figure:
    """A panel a map, at most `MOST_COLUMNS` beside each other and no more than leave the words legible."""
    columns = _columns(maps)
    font = _font(maps, columns)
    cell = min(LARGEST_CELL, _cell(font))
    left, top = _labels_width(maps, "target", font), _labels_width(maps, "source", font)
    slot = max(left + max(len(one.source) for one in maps) * cell, NARROWEST_PANEL) + GAP
    titles = [_wrapped(one.title, slot - GAP) for one in maps]
    rows = [range(start, min(start + columns, len(maps))) for start in range(0, len(maps), columns)]
    headers = [MARGIN + TITLE_LINE * max(len(titles[place]) for place in row) for row in rows]
    bodies = [top + cell * max(len(maps[place].target) for place in row) + GAP for row in rows]
    with paper_style():
        figure = Figure(figsize=(columns * slot, sum(headers) + sum(bodies)))
        for number, row in enumerate(rows):
            title_end = sum(headers[: number + 1]) + sum(bodies[:number])
            for column, place in enumerate(row):
                axes = _panel(figure, (column * slot + left, title_end + top), maps[place], cell)
                _words(axes, maps[place], font)
                corner = _fraction(figure, column * slot + MARGIN, title_end)
                figure.text(*corner, "\n".join(titles[place]), va="bottom", parse_math=False)
    return figure


def _columns(maps: Sequence[Map]) -> int:
    """How many panels stand beside each other; the rows are about equally full."""
    most = next((n for n in range(min(MOST_COLUMNS, len(maps)), 1, -1) if _font(maps, n) >= LEAST_FONT), 1)
    rows = -(-len(maps) // most)
    return -(-len(maps) // rows)


def _grid_of_heads(maps: dict[tuple[int, int], Map]) -> tuple[Figure, bool]:
    """The figure, and whether its cells were large enough to label them."""
    one = next(iter(maps.values()))
    layers, heads = (sorted({place[axis] for place in maps}) for axis in (0, 1))
    gap, header = 0.06, 0.18
    left_at = _labels_width([one], "target", 1.0)
    room = TEXT_WIDTH - header - len(heads) * gap
    font = room / (len(heads) * len(one.source) * _cell(1.0) + left_at)
    labelled = font >= LEAST_FONT
    font = min(font, LARGEST_FONT)
    left = _labels_width([one], "target", font) if labelled else 0.0
    top = _labels_width([one], "source", font) if labelled else 0.0
    cell = min(LARGEST_CELL, (room - left) / (len(heads) * len(one.source)))
    wide = max(len(one.source) * cell, min(SMALLEST_HEAD, room / len(heads) - gap)) + gap
    high = max(len(one.target) * cell, SMALLEST_HEAD) + gap
    with paper_style():
        figure = Figure(figsize=(header + left + len(heads) * wide, header + top + len(layers) * high))
        for (layer, head), each in maps.items():
            row, column = layers.index(layer), heads.index(head)
            box = (header + left + column * wide, header + top + row * high)
            axes = _panel(figure, box, each, cell)
            _words(axes, each, font, source=labelled and row == 0, target=labelled and column == 0)
            if row == 0:
                figure.text(*_fraction(figure, box[0] + (wide - gap) / 2, 0.03), f"head {head}", ha="center", va="top")
            if column == 0:
                middle = _fraction(figure, 0.03, box[1] + (high - gap) / 2)
                figure.text(*middle, f"layer {layer}", rotation=90, va="center")
    return figure, labelled


def _panel(figure: Figure, corner: tuple[float, float], one: Map, cell: float) -> Axes:
    """A heatmap of square cells; the corner is its upper left, in inches from that of the figure."""
    rows, columns = one.weights.shape
    x, y = _fraction(figure, corner[0], corner[1] + rows * cell)
    width, height = figure.get_size_inches()
    axes = figure.add_axes((x, y, columns * cell / width, rows * cell / height))
    grid = {"edgecolors": "#E4E4E4", "linewidth": 0.3} if cell >= FINEST_GRID else {}
    axes.pcolormesh(one.weights, cmap="Greys", vmin=0, vmax=1, **grid)
    axes.invert_yaxis()
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(True)
    return axes


def _words(axes: Axes, one: Map, font: float, source: bool = True, target: bool = True) -> None:
    look = {"fontsize": font, "parse_math": False}  # a word such as $100 is no formula
    axes.tick_params(pad=WORD_PAD * font)
    axes.set_xticks(np.arange(len(one.source)) + 0.5 if source else [])
    axes.set_yticks(np.arange(len(one.target)) + 0.5 if target else [])
    if source:
        axes.set_xticklabels([_shown(word) for word in one.source], rotation=90, **look)
    if target:
        axes.set_yticklabels([_shown(word) for word in one.target], **look)


def _fraction(figure: Figure, x: float, y: float) -> tuple[float, float]:
    """Inches from the upper left corner as matplotlib's fractions from the lower left."""
    width, height = figure.get_size_inches()
    return x / width, 1 - y / height


def _font(maps: Sequence[Map], columns: int) -> float:
    """The font size at which this many panels with their labels fill the width of the text."""
    room = TEXT_WIDTH / columns - GAP
    widest = max(len(one.source) for one in maps)
    return min(LARGEST_FONT, room / (widest * _cell(1.0) + _labels_width(maps, "target", 1.0)))


def _cell(font: float) -> float:
    return font / 72 / LINE_HEIGHT


def _labels_width(maps: Sequence[Map], axis: str, font: float) -> float:
    """The inches that the widest label of an axis takes, with its distance from the panel."""
    widest = max(_text_width(_shown(word)) for one in maps for word in getattr(one, axis))
    return (HINTING * widest + 2 * WORD_PAD / 72) * font


def _text_width(text: str) -> float:
    """The inches that a line of text takes for each point of its font size."""
    with _missing_glyphs_unmentioned():
        return text_to_path.get_text_width_height_descent(text, FontProperties(size=100), False)[0] / 100 / 72


def _wrapped(title: str, width: float) -> list[str]:
    """The lines of a title that may be so many inches wide."""
    return textwrap.wrap(title, int(width / TITLE_LETTER))


def _shown(word: str) -> str:
    """A word as it is drawn: on one line, and not endlessly long."""
    printable = "".join(letter if letter.isprintable() else "�" for letter in word)
    return printable if len(printable) <= LONGEST_WORD else printable[: LONGEST_WORD - 1] + "…"


def _slug(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name)


@contextmanager
def _missing_glyphs_unmentioned() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        yield


def main(arguments: list[str] | None = None) -> int:
    """Draw the attention of finished runs; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.alignments",
        description="Draw what models with attention attended to in some sentences of the test set, from finished "
        "runs: all models side by side, and every head of a model that has several. Of trials that share a label, such "
        "as seeds, the first is drawn.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUNS", help="a trial, a sweep, or a folder of sweeps")
    parser.add_argument("--output", metavar="DIR", help="figures go to DIR/figures (default: the first RUNS)")
    parser.add_argument(
        "--sentences", nargs="+", type=int, metavar="ID", help=f"which (default: {MOST_FIGURES} that most models have)"
    )
    parser.add_argument("--pieces", action="store_true", help="pieces on the axes instead of words")
    options = parser.parse_args(arguments)
    try:
        files = find_attention(options.runs)
        if not files:
            where = ", ".join(options.runs)
            raise ReportError(f"no trial in {where} has an {ATTENTION_FILE}; test a model with attention on text first")
        folder = Path(options.output or local_folder(options.runs[0])) / "figures"
        ids = dict.fromkeys(options.sentences or common_sentences(files))
        for chart in alignment_charts(files, ids, options.pieces):
            paths = save_chart(chart, folder)
            print(f"{paths['png']}: {chart.caption}")
    except (ReportError, OSError) as error:
        print(f"lengthwise report: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
