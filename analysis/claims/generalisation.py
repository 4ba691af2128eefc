"""Length generalisation: whether what was learnt up to one length carries beyond it, and how far."""

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from analysis.claims.verdicts import Answer, Claim, Finding, Part, Verdict, across, negated, together, verdict
from analysis.statistics.intervals import lies_above
from analysis.statistics.length_fits import KEPT, LEARNT, EffectiveLength, effective_lengths
from analysis.statistics.summaries import TaskSetting, length_unit
from analysis.statistics.words import interval
from analysis.tables.architectures import Architectures

CLAIM = Claim(
    "Length generalisation",
    "What was learnt up to one length does not carry beyond it by itself; how far it does depends on the architecture.",
    "Lake & Baroni (2018, arXiv:1711.00350), Newman et al. (2020, arXiv:2010.07174)",
    "No model that was trained on all lengths up to a limit was tested beyond it; `lengthwise sweep sweep.yaml` tests "
    "some.",
    ("length_generalisation",),
)

GENERALISATION_RULE = (
    "Length generalisation, on a synthetic task with models trained on all lengths up to a limit: the effective length "
    f"of a model is the greatest at which it keeps {KEPT:.0%} of its greedy token accuracy at the shortest length "
    "tested. Here accuracy is counted from chance (0) to 1, where trials tell what guessing without the source gets. "
    f"An architecture *has learnt its lengths* where no seed is below {LEARNT:g} at the shortest length and the "
    "interval of its effective length does not lie below the limit; the others have nothing to carry and are not "
    "judged. What was learnt *carries* where every seed keeps that share up to the greatest length tested; it *does "
    "not* where the interval of the effective length lies below the greatest length tested; anything else, and one "
    "seed, *cannot be told*. The architectures *differ* where one carries and another does not, or where the "
    "intervals of two effective lengths do not overlap; they *do not differ* where all carry; else it cannot be told. "
    "The claim *holds* where nothing carries to the greatest length and the architectures differ; *does not hold* "
    "where everything carries; *holds in part* where some carries and some does not."
)


def has_learnt(effective: EffectiveLength) -> bool:
    """Whether an architecture keeps its accuracy up to its limit, by `GENERALISATION_RULE`."""
    if effective.seeds == 0 or effective.unlearnt:
        return False
    return effective.length is None or not effective.length.high < effective.limit


def carries(effective: EffectiveLength) -> Answer:
    """Whether what was learnt carries to the greatest length tested, by `GENERALISATION_RULE`."""
    if effective.seeds < 2:
        return Answer.UNTOLD
    if effective.kept == effective.seeds:
        return Answer.HOLDS
    if effective.length is not None and effective.length.high < effective.longest:
        return Answer.FAILS
    return Answer.UNTOLD


def differ(judged: Sequence[EffectiveLength]) -> Answer:
    """Whether architectures differ in how far they carry, by `GENERALISATION_RULE`."""
    answers = [carries(effective) for effective in judged]
    if {Answer.HOLDS, Answer.FAILS} <= set(answers):
        return Answer.HOLDS
    if any(lies_above(one.length, other.length) is not None for one, other in combinations(judged, 2)):
        return Answer.HOLDS
    all_carry = len(answers) > 1 and set(answers) == {Answer.HOLDS}
    return Answer.FAILS if all_carry else Answer.UNTOLD


def generalisation_verdict(results: pd.DataFrame, architectures: Architectures) -> Verdict:
    """What trials that were tested beyond their limit say of the claim.

    Args:
        results: the tidy table.
        architectures: what the architectures say of themselves.
    """
    by_setting: dict[TaskSetting, list[EffectiveLength]] = {}
    for effective in effective_lengths(results, architectures):
        by_setting.setdefault(effective.setting, []).append(effective)
    return verdict(CLAIM, [_of_setting(effective, architectures) for effective in by_setting.values()])


def _of_setting(effective: Sequence[EffectiveLength], architectures: Architectures) -> Finding:
    names = architectures.names(one.arch for one in effective)
    judged = [one for one in effective if has_learnt(one)]
    limit, longest, unit = effective[0].limit, effective[0].longest, length_unit(effective[0].setting.task)
    lost = across(negated(carries(one)) for one in judged)
    not_judged = [f"{names[one.arch]} ({why_not_judged(one)})" for one in effective if one not in judged]
    measured = [f"{names[one.arch]} {in_words(one)}, n = {one.seeds}" for one in judged]
    if not_judged:
        measured.append(f"not judged: {', '.join(not_judged)}")
    parts = (
        Part(
            f"What was learnt up to {limit} {unit} is lost by {longest}; effective lengths in {unit}",
            lost,
            "; ".join(measured),
        ),
        Part("How far it carries depends on the architecture", differ(judged), f"{len(judged)} judged"),
    )
    return Finding(str(effective[0].setting), lost if lost == Answer.FAILS else together(parts), parts)


def in_words(effective: EffectiveLength) -> str:
    """The effective length: `52.1 [49.0, 55.4]`, `> 80`, or `> 80 in 2 of 3 seeds`."""
    if effective.length is not None:
        return interval(effective.length, 1)
    several = f" in {effective.kept} of {effective.seeds} seeds" if effective.kept < effective.seeds else ""
    return f"> {effective.longest}{several}"


def why_not_judged(effective: EffectiveLength) -> str:
    """Why an architecture has nothing to carry: `not converged`, `not learnt`, `12.3 [11.0, 13.8]`."""
    if effective.seeds == 0:
        return "not converged"
    return "not learnt" if effective.unlearnt else in_words(effective)
