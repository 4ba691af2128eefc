"""What measured decays say to sentences of textbooks on gradient flow: agrees, disagrees, or cannot be told."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis.figures.style import styles
from analysis.statistics.gradient_fits import WHEN, Fit
from analysis.statistics.intervals import lies_above
from analysis.statistics.words import interval
from analysis.tables.kinds import ATTENDING

AGREES, PARTLY, DISAGREES, UNTOLD = "agrees", "agrees in part", "disagrees", "cannot be told"
WINDOWED = "LuongLocal"  # outside its window there is no attention path
GATED = ("LSTM", "GRU")


class Statement(NamedTuple):
    """What measurements say to a sentence of textbooks; `verdict` is one of the four answers above."""

    claim: str
    where: str
    verdict: str
    reason: str


def statements(found: Sequence[Fit]) -> list[Statement]:
    """Four sentences of textbooks, each held against every task and phase at its greatest length.

    Only architectures with default options count. Two decays differ where their 95% intervals do not overlap.
    """
    said = []
    for where, by_arch in by_setting(found):
        said += [
            Statement("The vanilla RNN decays fastest", where, *_fastest(by_arch)),
            Statement("LSTM and GRU decay slower than the vanilla RNN", where, *_slower(by_arch)),
            Statement(
                "Attention and transformer show no exponential decay in distance", where, *_no_exponential(by_arch)
            ),
            Statement(
                "At the greatest distance attention leaves more signal than LSTM and GRU", where, *_more(by_arch)
            ),
        ]
    claims = [statement.claim for statement in said]
    return sorted(said, key=lambda statement: claims.index(statement.claim))


def exponential_vanilla(found: Sequence[Fit]) -> list[Statement]:
    """Whether the vanilla RNN decays exponentially, as `statements` says its sentences."""
    claim = "The vanilla RNN decays exponentially with distance"
    answers = {True: AGREES, False: DISAGREES, None: UNTOLD}
    said = []
    for where, by_arch in by_setting(found):
        fit = by_arch.get("VanillaRNN")
        if fit is None:
            said.append(Statement(claim, where, UNTOLD, "the vanilla RNN was not measured"))
        else:
            numbers = f"decay per step {_decays([fit], with_fit=True)}"
            said.append(Statement(claim, where, answers[fit.exponential], numbers))
    return said


def by_setting(found: Sequence[Fit]) -> Iterator[tuple[str, dict[str, Fit]]]:
    """Each task and phase with the fits at its greatest length, by architecture; only default options count."""
    for task, phase in sorted({(fit.task, fit.phase) for fit in found}):
        own = [fit for fit in found if (fit.task, fit.phase) == (task, phase) and not fit.variant]
        longest = max((fit.length for fit in own), default=0)
        yield f"{task}, length {longest}, {WHEN[phase]}", {fit.arch: fit for fit in own if fit.length == longest}


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
    slower = {fit.name: lies_above(fit.decay, vanilla.decay) for fit in others}
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


def _more(by_arch: dict[str, Fit]) -> tuple[str, str]:
    """Whether attention leaves more at the greatest distance: what is no exponential may still fall to nothing."""
    gated = [by_arch[arch] for arch in GATED if arch in by_arch]
    shown = [by_arch[arch] for arch in ATTENDING if arch in by_arch]
    paths = [fit for fit in shown if fit.arch != WINDOWED]
    if not gated or not paths:
        return UNTOLD, "no architecture with attention was measured" if gated else "neither LSTM nor GRU was measured"
    looks = styles([fit.name for fit in [*gated, *shown]])
    shares = ", ".join(
        f"{looks[fit.name].name} {interval(fit.kept, 2, 'g')}"
        + (" (has a window, not judged)" if fit.arch == WINDOWED else "")
        for fit in [*gated, *shown]
    )
    answers = {lies_above(fit.kept, than.kept) for fit in paths for than in gated}
    reason = f"share of the norm at the least distance {shares}"
    if None in answers or len(answers) > 1:
        return (PARTLY if True in answers else UNTOLD), reason
    return (AGREES if answers == {True} else DISAGREES), reason


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
