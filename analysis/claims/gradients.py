"""Vanishing gradients: what measured decays say to five sentences of textbooks."""

from collections.abc import Sequence

from analysis.claims.verdicts import Answer, Claim, Finding, Part, Verdict, answer_to, together, verdict
from analysis.statistics.gradient_fits import LEAST_R_SQUARED, WHEN, Fit
from analysis.statistics.intervals import lies_above
from analysis.statistics.summaries import count_phrase
from analysis.statistics.words import interval, r_squared_text
from analysis.tables.architectures import BUILT_IN, Architectures

CLAIM = Claim(
    "Vanishing gradients",
    "The learning signal that reaches a source token shrinks with its distance from the loss: exponentially in a "
    "vanilla RNN, slower in LSTM and GRU, hardly at all along an attention path.",
    "Hochreiter (1991), Bengio et al. (1994), Pascanu et al. (2013, arXiv:1211.5063)",
    "No gradient flow was found; `lengthwise gradients --output DIR` measures it.",
    ("gradient_norm",),
)
EXPONENTIAL = "The vanilla RNN decays exponentially with distance"

GRADIENT_RULE = (
    "Vanishing gradients, for each task before and after training, at its greatest length, architectures with default "
    f"options: a decay is *exponential* where log norm falls in a straight line (R² of {LEAST_R_SQUARED} or more in "
    "every seed) and the 95% interval of the decay per step lies below 1; one decay is *slower* than another where "
    "their intervals do not overlap, and *more signal* is left of one than of another likewise. Luong's local "
    "attention, which has no path outside its window, is shown but not judged by what it leaves at the greatest "
    "distance. The parts are those printed with the verdict."
)


def gradient_verdict(fits: Sequence[Fit], architectures: Architectures) -> Verdict:
    """What the measured decays say of vanishing gradients, by `GRADIENT_RULE` and `PARTS_RULE`."""
    findings = []
    for where, at_longest in _settings(fits).items():
        parts = _parts(at_longest, architectures)
        seeds = count_phrase({fit.decay.count for fit in at_longest if fit.decay} or {0})
        findings.append(Finding(f"{where}, n = {seeds} seeds", together(parts), parts))
    return verdict(CLAIM, findings)


def statements(fits: Sequence[Fit], architectures: Architectures) -> dict[str, tuple[Part, ...]]:
    """The sentences, the same in each setting, with what was measured of them, by the name of the setting."""
    return {where: _parts(at_longest, architectures) for where, at_longest in _settings(fits).items()}


def _settings(fits: Sequence[Fit]) -> dict[str, list[Fit]]:
    """The fits of each task and phase at its greatest length; only architectures with default options count."""
    settings = {}
    for task, phase in sorted({(fit.task, fit.phase) for fit in fits}):
        default = [fit for fit in fits if (fit.task, fit.phase) == (task, phase) and not fit.variant]
        longest = max((fit.length for fit in default), default=0)
        where = f"{task}, length {longest}, {WHEN[phase]}"
        settings[where] = [fit for fit in default if fit.length == longest]
    return settings


def _parts(fits: Sequence[Fit], architectures: Architectures) -> tuple[Part, ...]:
    """Each sentence held against the fits of one setting."""
    vanilla = next((fit for fit in fits if architectures[fit.arch].recurrence == "plain"), None)
    others = [fit for fit in fits if fit is not vanilla]
    gated = [fit for fit in fits if architectures[fit.arch].recurrence == "gated"]
    attention = [fit for fit in fits if architectures[fit.arch].attends]
    measured = {fit.arch for fit in fits}
    unmeasured = " and ".join(
        known.arch for known in BUILT_IN if known.recurrence == "gated" and known.arch not in measured
    )
    return (
        Part(EXPONENTIAL, *_exponential(vanilla, architectures)),
        Part(
            "The vanilla RNN decays fastest",
            *_slower(vanilla, others, architectures, "" if others else "no other architecture was measured"),
        ),
        Part(
            "LSTM and GRU decay slower than the vanilla RNN",
            *_slower(vanilla, gated, architectures, f"{unmeasured} not measured" if unmeasured else ""),
        ),
        Part(
            "Attention and transformer show no exponential decay in distance",
            *_no_exponential(attention, architectures),
        ),
        Part(
            "At the greatest distance attention leaves more signal than LSTM and GRU",
            *_more_signal(attention, gated, architectures),
        ),
    )


def _exponential(vanilla: Fit | None, architectures: Architectures) -> tuple[Answer, str]:
    if vanilla is None:
        return Answer.UNTOLD, "the vanilla RNN was not measured"
    return answer_to(vanilla.exponential), _decays([vanilla], architectures, with_fit=True)


def _slower(vanilla: Fit | None, others: list[Fit], architectures: Architectures, missing: str) -> tuple[Answer, str]:
    """Whether all others decay slower than the vanilla RNN; `missing` says which of them were not measured."""
    if vanilla is None:
        return Answer.UNTOLD, "the vanilla RNN was not measured"
    if not others:
        return Answer.UNTOLD, missing
    slower = {fit.name: lies_above(fit.decay, vanilla.decay) for fit in others}
    numbers = _decays([vanilla, *others], architectures)
    if faster := [name for name, is_slower in slower.items() if is_slower is False]:
        return Answer.FAILS, f"faster are {_names(faster, architectures)}; {numbers}"
    if unclear := [name for name, is_slower in slower.items() if is_slower is None]:
        overlap = "intervals overlap that of the vanilla RNN or are missing"
        return Answer.UNTOLD, f"{overlap}: {_names(unclear, architectures)}; {numbers}"
    return (Answer.UNTOLD, f"{missing}; {numbers}") if missing else (Answer.HOLDS, numbers)


def _no_exponential(attention: list[Fit], architectures: Architectures) -> tuple[Answer, str]:
    if not attention:
        return Answer.UNTOLD, "no architecture with attention was measured"
    numbers = _decays(attention, architectures, with_fit=True)
    if decaying := [fit.name for fit in attention if fit.exponential]:
        return Answer.FAILS, f"an exponential fits {_names(decaying, architectures)}; {numbers}"
    if unclear := [fit.name for fit in attention if fit.exponential is None]:
        return Answer.UNTOLD, f"not clear for {_names(unclear, architectures)}; {numbers}"
    return Answer.HOLDS, numbers


def _more_signal(attention: list[Fit], gated: list[Fit], architectures: Architectures) -> tuple[Answer, str]:
    """Whether attention leaves more at the greatest distance: what is no exponential may still fall to nothing."""
    paths = [fit for fit in attention if not architectures[fit.arch].windowed]
    if not gated:
        return Answer.UNTOLD, "neither LSTM nor GRU was measured"
    if not paths:
        return Answer.UNTOLD, "no architecture with attention was measured"
    shares = ", ".join(
        f"{architectures[fit.arch].display_name} {interval(fit.kept, 2, 'g')}"
        + (" (has a window, not judged)" if architectures[fit.arch].windowed else "")
        for fit in [*gated, *attention]
    )
    more = {lies_above(path.kept, without.kept) for path in paths for without in gated}
    answer = answer_to(more.pop()) if len(more) == 1 else Answer.IN_PART if True in more else Answer.UNTOLD
    return answer, f"share of the norm at the least distance {shares}"


def _names(lines: Sequence[str], architectures: Architectures) -> str:
    return ", ".join(architectures.names(lines).values())


def _decays(fits: Sequence[Fit], architectures: Architectures, with_fit: bool = False) -> str:
    return "decay per step " + ", ".join(
        f"{architectures[fit.arch].display_name} {interval(fit.decay)}"
        + (f" (R² {r_squared_text(fit.r_squared)})" if with_fit else "")
        for fit in fits
    )
