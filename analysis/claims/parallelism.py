"""Training-time parallelism: whether counts of operations and the clock say what theory says."""

from collections.abc import Callable, Sequence

import pandas as pd

from analysis.claims.verdicts import Answer, Claim, Finding, Part, Verdict, across, answer_to, together, verdict
from analysis.statistics.time_fits import law, law_text, logarithmic_law, machine_name
from analysis.statistics.words import listing
from analysis.tables.architectures import Architectures
from analysis.tables.probe_tables import MACHINE

CLAIM = Claim(
    "Training-time parallelism",
    "In training, a recurrent model as it is usually trained needs O(n) operations one after the other, a transformer "
    "O(1), which makes its step the faster one.",
    "Vaswani et al. (2017, arXiv:1706.03762, Table 1)",
    "No counts or timings were found; `lengthwise parallelism --output DIR` makes them.",
    ("sequential_depth", "step_time"),
)
LEAST_REPEATS = 3  # of a timed step; fewer have no quartiles worth the name

PARALLELISM_RULE = (
    "Training-time parallelism: operations are counted exactly, so no interval is needed. A recurrent model's count "
    "must be a straight line in the length that rises, the transformer's a constant; that of a linear recurrence, "
    "where one was counted, must from some length on rise by as much with every doubling. The clock is another "
    "setting, one for each machine: it *holds* there if at the greatest length that all were timed at a training step "
    "of the transformer (the encoder-decoder, where it was timed) takes less time than that of every recurrent model "
    "timed, by quartiles over repeated steps that do not overlap, *does not hold* if it takes more than every one, *in "
    f"part* if more than some and less than others, and *cannot be told* otherwise or from fewer than {LEAST_REPEATS} "
    "repeats."
)


def parallelism_verdict(results: pd.DataFrame, architectures: Architectures) -> Verdict:
    """What counts and timings say of parallelism; `results` is the table of `lengthwise parallelism`."""
    findings = [_counted(results, architectures)] if (results["metric"] == "sequential_depth").any() else []
    timed = results[(results["metric"] == "step_seconds") & (results["sweep"] == "fixed_batch")]
    for machine in timed[MACHINE].drop_duplicates().itertuples(index=False, name=None):
        findings.append(_on_the_clock(timed[(timed[MACHINE] == list(machine)).all(axis=1)], machine, architectures))
    return verdict(CLAIM, findings)


def _of_order(lines: pd.Series, order: str, architectures: Architectures) -> list[str]:
    """The architectures whose sequential operations are of an order by theory, in the order of tables."""
    return [line for line in architectures.names(lines) if architectures[line].sequential_operations == order]


def _counted(results: pd.DataFrame, architectures: Architectures) -> Finding:
    depths = results[results["metric"] == "sequential_depth"]
    lengths = sorted(depths["length"].astype(int).unique())

    def part(statement: str, order: str, as_stated: Callable[[str], bool]) -> Part:
        counted = _of_order(depths["arch"], order, architectures)
        # Through one point goes every line.
        answer = Answer.UNTOLD if len(lengths) < 2 else across(answer_to(as_stated(arch)) for arch in counted)
        names = architectures.names(counted)
        counts = "; ".join(f"{name} {law_text(results, arch, 'sequential_depth')}" for arch, name in names.items())
        return Part(statement, answer, counts or "none was counted")

    def slope(arch: str) -> int | None:
        line = law(results, arch, "sequential_depth")
        return None if line is None else line.slope

    parts = [
        part("The operations of recurrent models that wait for each other grow with the length", "O(n)",
             lambda arch: (slope(arch) or 0) > 0),
        part("Those of the transformer do not", "O(1)", lambda arch: slope(arch) == 0),
    ]  # fmt: skip
    if _of_order(depths["arch"], "O(log n)", architectures):
        linear = "Those of linear recurrences grow with the logarithm of the length"
        parts.append(part(
            linear, "O(log n)", lambda arch: logarithmic_law(results, arch, "sequential_depth") is not None
        ))  # fmt: skip
    return Finding(f"operations counted at lengths {listing(lengths)}", together(parts), tuple(parts))


def _on_the_clock(timed: pd.DataFrame, machine: Sequence, architectures: Architectures) -> Finding:
    where = f"clock: {machine[1]}, {machine_name(machine)}"
    transformers, recurrent = (_of_order(timed["arch"], order, architectures) for order in ("O(1)", "O(n)"))
    parallel, serial = (timed[timed["arch"].isin(names)] for names in (transformers[:1], recurrent))
    timed_at = [set(rows["length"]) for side in (parallel, serial) for _, rows in side.groupby("arch")]
    statement = "A training step of the transformer takes less time than that of every recurrent model timed"
    if parallel.empty or serial.empty or not (shared := set.intersection(*timed_at)):
        part = Part(statement, Answer.UNTOLD, "no length at which all of them were timed")
        return Finding(where, Answer.UNTOLD, (part,))
    length = max(shared)
    transformer = parallel[parallel["length"] == length].iloc[0]
    others = serial[serial["length"] == length].set_index("arch")
    faster = others["lower"] > transformer["upper"]  # the transformer is faster
    slower = others["upper"] < transformer["lower"]
    repeats = int(min(transformer["repeats"], others["repeats"].min()))
    answer = Answer.UNTOLD
    if repeats >= LEAST_REPEATS:
        if faster.any() and slower.any():
            answer = Answer.IN_PART
        elif faster.all() or slower.all():
            answer = Answer.HOLDS if faster.any() else Answer.FAILS
    medians = {transformer["arch"]: transformer["median"], **others["median"].to_dict()}
    times = ", ".join(f"{name} {medians[arch]:.3g} s" for arch, name in architectures.names(medians).items())
    part = Part(f"{statement}, {int(length)} tokens", answer, f"medians of n ≥ {repeats} steps: {times}")
    return Finding(where, answer, (part,))
