"""How fast the learning signal fades with distance: decay per step and effective horizon, from gradients.csv.

A gradients.csv has the columns `COLUMNS`. The quantity `embedding_gradient` is the norm of the gradient of the loss
at one target position with respect to the embedding of a source token, `distance` recurrent steps away from it;
`jacobian` is the largest singular value of the derivative of the encoder's last state with respect to its state
`distance` steps earlier (Pascanu et al. 2013); `gradient_norm` and `clipped` describe training and have no distance.
"""

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.frames import Column, Frame
from analysis.load_runs import NOT_SEARCHED
from analysis.markdown import interval
from analysis.statistics import MeanInterval, mean_interval
from analysis.style import styles

COLUMNS = [
    "arch", "variant", "task", "length", "seed", "phase", "step", "quantity", "distance",
    "mean", "low", "high", "sequences",
]  # fmt: skip
KEY = COLUMNS[:9]  # what is measured once
LINE = ["arch", "variant", "task", "length"]  # a line in a figure
EMBEDDING_GRADIENT = "embedding_gradient"
JACOBIAN = "jacobian"
CURVES = (EMBEDDING_GRADIENT, JACOBIAN)  # quantities that have a distance
PHASES = ("initial", "training", "trained")

FLOAT_FLOOR = 1e-37  # float32 cannot tell what lies below from zero
HORIZON_SHARE = 0.01  # of the norm at the least distance
LEAST_R_SQUARED = 0.9  # of a curve that is called exponential
LEAST_DISTANCES = 3  # a line through two points fits whatever they are

AGREES, DISAGREES, UNTOLD = "agrees", "disagrees", "cannot be told"
GATED = ("LSTM", "GRU")
ATTENDING = ("Bahdanau", "LuongGlobal", "LuongLocal", "Transformer")
WHEN = {"initial": "at initialisation", "trained": "after training"}


class Horizon(NamedTuple):
    """The smallest distance at which the norm has fallen to 1% of that at the least distance, over seeds.

    Attributes:
        reached: mean and interval over seeds, in steps; None unless all seeds fall to 1%.
        beyond: number of seeds that do not within the distances measured.
        seeds: number of seeds whose norm at the least distance is above the float floor.
        furthest: greatest distance measured.
    """

    reached: MeanInterval | None
    beyond: int
    seeds: int
    furthest: int


class Fit(NamedTuple):
    """The decay of one line of one phase.

    Attributes:
        decay: factor per step, exp(slope of log norm against distance), its interval that of the slopes over seeds;
            None where no seed has enough distances above the float floor.
        horizon: effective horizon.
        r_squared: (seeds,) of the fit of each seed.
        at_floor: distances left out of the fit, summed over seeds.
        exponential: whether the norm decays exponentially with distance; None where that cannot be told.
    """

    arch: str
    variant: str
    task: str
    length: int
    phase: str
    decay: MeanInterval | None
    horizon: Horizon
    r_squared: tuple[float, ...]
    at_floor: int
    exponential: bool | None

    @property
    def name(self) -> str:
        return line_name(self.arch, self.variant)


class Change(NamedTuple):
    """One line at initialisation and after training; None where a phase was not measured."""

    arch: str
    variant: str
    task: str
    length: int
    initial: Fit | None
    trained: Fit | None

    @property
    def name(self) -> str:
        return line_name(self.arch, self.variant)


class Statement(NamedTuple):
    """What measurements say to a sentence of textbooks; `verdict` is agrees, disagrees or cannot be told."""

    claim: str
    where: str
    verdict: str
    reason: str


def read_gradients(paths: Sequence[str | Path]) -> Frame:
    """Read every gradients.csv at or below the given folders; none at all gives an empty table.

    Returns:
        A table with the columns `COLUMNS`; `variant` is empty for defaults, `distance` missing where there is none.

    Raises:
        ReportError: a path that is no folder, a file that cannot be understood, or two different measurements of
            the same thing.
    """
    tables = [_read(path) for path in _find(paths)]
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    table: Frame = pd.concat(tables, ignore_index=True).drop_duplicates(COLUMNS)
    repeated = table[table.duplicated(KEY, keep=False)]
    if len(repeated):
        repeated = repeated.sort_values([*KEY, "place"])
        first, second = repeated["place"].iloc[:2]
        row = repeated.iloc[0]
        raise ReportError(
            f"{first} and {second} measure {row['quantity']} of {line_name(row['arch'], row['variant'])}, "
            f"{row['task']}, length {row['length']}, seed {row['seed']} differently; give only one of them"
        )
    return table[COLUMNS].reset_index(drop=True)


def _find(paths: Sequence[str | Path]) -> Iterator[Path]:
    """Every gradients.csv, each once, in the order of the paths and by name."""
    seen: set[Path] = set()
    for path in map(Path, paths):
        if not path.is_dir():
            problem = "is not a folder" if path.exists() else "does not exist"
            raise ReportError(f"{path} {problem}; give a folder that holds gradients.csv, or a folder of such")
        for parent, subfolders, files in os.walk(path):
            found = Path(parent) / "gradients.csv"
            if found.name in files and found.resolve() not in seen:
                seen.add(found.resolve())
                yield found
            subfolders[:] = sorted(s for s in subfolders if s not in NOT_SEARCHED and not s.startswith("."))


def _read(path: Path) -> Frame:
    """One file, with a column `place` that names file and line."""
    table = pd.DataFrame(_cells(path)).reindex(columns=COLUMNS)
    has_distance = table["quantity"].isin(CURVES)
    for column, whole, needed in (
        ("length", True, True), ("seed", True, True), ("step", True, True), ("distance", True, has_distance),
        ("mean", False, True), ("low", False, has_distance), ("high", False, has_distance), ("sequences", True, False),
    ):  # fmt: skip
        table[column] = _numbers(path, table[column], whole, pd.Series(needed, index=table.index))
    _refuse(path, ~table["phase"].isin(PHASES), table["phase"], f"phase is none of {', '.join(PHASES)}")
    _refuse(path, has_distance & (table["mean"] <= 0), table["mean"], "mean is not above 0")
    _refuse(path, has_distance & (table["distance"] < 1), table["distance"], "distance is below 1")
    whole = {column: int for column in ("length", "seed", "step")}
    return table.astype(whole).assign(place=[f"{path} line {number}" for number in range(2, len(table) + 2)])


def _cells(path: Path) -> dict[str, list[str]]:
    """The text of every column."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _corrupt(path, "is not a text file") from error
    if not text.endswith("\n"):
        # A number cut short is still a number; the missing end of line is what gives it away.
        raise _corrupt(path, "ends in the middle of a line" if text else "is empty")
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise _corrupt(path, f"has no column '{missing[0]}'")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise _corrupt(path, f"line {number} has {len(line)} fields instead of {len(header)}")
    return {column: [line[place] for line in lines] for place, column in enumerate(header)}


def _numbers(path: Path, cells: Column, whole: bool, needed: Column) -> Column:
    """Cells as numbers; an empty one is missing."""
    numbers = cells.map(_number).astype(float)
    wrong = ~np.isfinite(numbers) & (needed | (cells != ""))
    _refuse(path, wrong, cells, f"{cells.name} is not a number")
    if whole:
        _refuse(path, numbers.notna() & (numbers % 1 != 0), cells, f"{cells.name} is not a whole number")
    return numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _refuse(path: Path, wrong: Column, cells: Column, problem: str) -> None:
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise _corrupt(path, f"line {place + 2}: {problem}: '{cells.iloc[place]}'")


def _corrupt(path: Path, problem: str) -> ReportError:
    return ReportError(f"{path}: {problem}; measure again or move its folder away")


def line_name(arch: str, variant: str) -> str:
    """How an architecture and what sets it apart are called together, such as `GRU [recurrent_init=identity]`."""
    return f"{arch} [{variant}]" if variant else arch


def curves(table: Frame, quantity: str) -> Frame:
    """The rows of one quantity, with a column `name`; of `initial` and `trained` those of each seed's last step.

    A trial that was trained further after its end has two rows `trained`; the later ones count.
    """
    rows = table[table["quantity"] == quantity].fillna({"variant": ""})
    last = rows.groupby([*LINE, "seed", "phase"])["step"].transform("max")
    rows = rows[(rows["phase"] == "training") | (rows["step"] == last)]
    return rows.assign(name=[line_name(*pair) for pair in zip(rows["arch"], rows["variant"], strict=True)])


def fits(table: Frame) -> list[Fit]:
    """Decay and horizon of every line at initialisation and after training, in the order of tables."""
    rows = curves(table, EMBEDDING_GRADIENT)
    rows = rows[rows["phase"] != "training"]
    found = [_fit(key, group) for key, group in rows.groupby([*LINE, "phase"])]
    order = list(styles(rows["name"]))
    return sorted(found, key=lambda fit: (fit.task, order.index(fit.name), fit.length, fit.phase))


def changes(table: Frame) -> list[Change]:
    """Every line with its fits at initialisation and after training side by side."""
    sides: dict[tuple[str, str, str, int], dict[str, Fit]] = {}
    for fit in fits(table):
        sides.setdefault((fit.arch, fit.variant, fit.task, fit.length), {})[fit.phase] = fit
    return [Change(*line, phases.get("initial"), phases.get("trained")) for line, phases in sides.items()]


def _fit(key: tuple, rows: Frame) -> Fit:
    lines = [_line(own) for _, own in rows.groupby("seed")]
    fitted = [_regress(distances, norms) for distances, norms in lines]
    slopes = [slope for slope, _ in filter(None, fitted)]
    r_squared = tuple(r_squared for _, r_squared in filter(None, fitted))
    decay = _exponentiated(mean_interval(slopes)) if slopes else None
    at_floor = sum(int(np.count_nonzero(norms <= FLOAT_FLOOR)) for _, norms in lines)
    arch, variant, task, length, phase = key
    horizon = _horizon(lines)
    return Fit(
        arch, variant, task, int(length), phase, decay, horizon, r_squared, at_floor, _exponential(decay, r_squared)
    )


def _line(rows: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Distances and norms of one seed, by distance."""
    ordered = rows.sort_values("distance")
    return ordered["distance"].to_numpy(float), ordered["mean"].to_numpy(float)


def _regress(distances: np.ndarray, norms: np.ndarray) -> tuple[float, float] | None:
    """Slope and R² of log norm against distance by ordinary least squares, over norms above the float floor."""
    above = norms > FLOAT_FLOOR
    if above.sum() < LEAST_DISTANCES:
        return None
    x, y = distances[above] - distances[above].mean(), np.log(norms[above])
    y = y - y.mean()
    slope = float(x @ y / (x @ x))
    # A flat curve leaves nothing to explain but rounding.
    r_squared = float((x @ y) ** 2 / (x @ x) / (y @ y)) if y @ y > 1e-20 * len(y) else 0.0
    return slope, r_squared


def _exponentiated(slopes: MeanInterval) -> MeanInterval:
    decay, low, high = np.exp(np.minimum(slopes[:3], 700.0))
    return MeanInterval(float(decay), float(low), float(high), slopes.count)


def _exponential(decay: MeanInterval | None, r_squared: tuple[float, ...]) -> bool | None:
    """Whether norms decay exponentially: a decay below 1 by its whole interval, and R² of 0.9 in every seed.

    They do not where R² stays below 0.9 in every seed or the whole interval is at 1 or above; otherwise, and with
    one seed, it cannot be told.
    """
    if decay is None or math.isnan(decay.low):
        return None
    if decay.low >= 1 or max(r_squared) < LEAST_R_SQUARED:
        return False
    return True if decay.high < 1 and min(r_squared) >= LEAST_R_SQUARED else None


def _horizon(lines: list[tuple[np.ndarray, np.ndarray]]) -> Horizon:
    each = [horizon(distances, norms) for distances, norms in lines if norms[0] > FLOAT_FLOOR]
    beyond = sum(math.isinf(value) for value in each)
    reached = mean_interval(each) if each and not beyond else None
    return Horizon(reached, beyond, len(each), int(max(distances[-1] for distances, _ in lines)))


def horizon(distances: np.ndarray, norms: np.ndarray) -> float:
    """The smallest distance at which norms fall to 1% of the first, log norms interpolated linearly between distances.

    Args:
        distances: (D,), ascending.
        norms: (D,), above 0.

    Returns:
        The distance in steps; infinity where norms stay above 1%.
    """
    excess = np.log(norms) - math.log(HORIZON_SHARE * norms[0])  # (D,)
    fallen = np.flatnonzero(excess <= 0)
    if not len(fallen):
        return math.inf
    after = fallen[0]
    before = after - 1
    share = excess[before] / (excess[before] - excess[after])
    return float(distances[before] + share * (distances[after] - distances[before]))


def statements(found: Sequence[Fit]) -> list[Statement]:
    """Three sentences of textbooks, each held against every task and phase at its greatest length.

    Only architectures with default options count. Two decays differ where their 95% intervals do not overlap.
    """
    said = []
    for task, phase in sorted({(fit.task, fit.phase) for fit in found}):
        own = [fit for fit in found if (fit.task, fit.phase) == (task, phase) and not fit.variant]
        longest = max((fit.length for fit in own), default=0)
        by_arch = {fit.arch: fit for fit in own if fit.length == longest}
        where = f"{task}, length {longest}, {WHEN[phase]}"
        said += [
            Statement("The vanilla RNN decays fastest", where, *_fastest(by_arch)),
            Statement("LSTM and GRU decay slower than the vanilla RNN", where, *_slower(by_arch)),
            Statement(
                "Attention and transformer show no exponential decay in distance", where, *_no_exponential(by_arch)
            ),
        ]
    claims = [statement.claim for statement in said]
    return sorted(said, key=lambda statement: claims.index(statement.claim))


def is_slower(fit: Fit, than: Fit) -> bool | None:
    """Whether one decays slower than another; None where intervals overlap or one has none."""
    if fit.decay is None or than.decay is None or math.isnan(fit.decay.low) or math.isnan(than.decay.low):
        return None
    if fit.decay.low > than.decay.high:
        return True
    return False if fit.decay.high < than.decay.low else None


def _fastest(by_arch: dict[str, Fit]) -> tuple[str, str]:
    others = [fit for arch, fit in by_arch.items() if arch != "VanillaRNN"]
    return _against_vanilla(by_arch, others, "no other architecture was measured")


def _slower(by_arch: dict[str, Fit]) -> tuple[str, str]:
    gated = [by_arch[arch] for arch in GATED if arch in by_arch]
    missing = [arch for arch in GATED if arch not in by_arch]
    return _against_vanilla(by_arch, gated, f"{' and '.join(missing)} not measured", complete=not missing)


def _against_vanilla(
    by_arch: dict[str, Fit], others: list[Fit], missing: str, complete: bool = True
) -> tuple[str, str]:
    """Verdict and reason of the sentence that all others decay slower than the vanilla RNN."""
    vanilla = by_arch.get("VanillaRNN")
    if vanilla is None:
        return UNTOLD, "the vanilla RNN was not measured"
    if not others:
        return UNTOLD, missing
    slower = {fit.name: is_slower(fit, vanilla) for fit in others}
    numbers = _decays([vanilla, *others])
    faster = [name for name, answer in slower.items() if answer is False]
    if faster:
        return DISAGREES, f"faster are {_names(faster)}; decay per step {numbers}"
    unclear = [name for name, answer in slower.items() if answer is None]
    if unclear:
        return (
            UNTOLD,
            f"intervals overlap that of the vanilla RNN or are missing: {_names(unclear)}; decay per step {numbers}",
        )
    return (AGREES, f"decay per step {numbers}") if complete else (UNTOLD, f"{missing}; decay per step {numbers}")


def _no_exponential(by_arch: dict[str, Fit]) -> tuple[str, str]:
    attending = [by_arch[arch] for arch in ATTENDING if arch in by_arch]
    if not attending:
        return UNTOLD, "no architecture with attention was measured"
    numbers = _decays(attending, with_fit=True)
    decaying = [fit.name for fit in attending if fit.exponential]
    if decaying:
        return DISAGREES, f"an exponential fits {_names(decaying)}; decay per step {numbers}"
    unclear = [fit.name for fit in attending if fit.exponential is None]
    if unclear:
        return UNTOLD, f"not clear for {_names(unclear)}; decay per step {numbers}"
    return AGREES, f"decay per step {numbers}"


def _names(names: Sequence[str]) -> str:
    looks = styles(names)
    return ", ".join(look.name for look in looks.values())


def _decays(found: Sequence[Fit], with_fit: bool = False) -> str:
    looks = styles([fit.name for fit in found])
    return ", ".join(
        f"{looks[fit.name].name} {interval(fit.decay)}" + (f" (R² {r_squared_text(fit)})" if with_fit else "")
        for fit in found
    )


def r_squared_text(fit: Fit) -> str:
    """R² over seeds: `0.98`, or its range `0.91…0.98`."""
    if not fit.r_squared:
        return "-"
    least, most = (f"{value:.2f}" for value in (min(fit.r_squared), max(fit.r_squared)))
    return least if least == most else f"{least}…{most}"
