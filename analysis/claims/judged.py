"""What the runs say of all four claims."""

from analysis.claims.bottleneck import bottleneck_verdict
from analysis.claims.generalisation import generalisation_verdict
from analysis.claims.gradients import gradient_verdict
from analysis.claims.parallelism import parallelism_verdict
from analysis.claims.verdicts import Verdict
from analysis.statistics.comparisons import comparisons
from analysis.statistics.gradient_fits import fits
from analysis.tables.evidence import Evidence


def verdicts(evidence: Evidence) -> list[Verdict]:
    """The verdicts on the four claims, in their order."""
    runs = evidence.runs
    return [
        bottleneck_verdict(runs.results, runs.failures, comparisons(runs), runs.architectures),
        gradient_verdict(fits(evidence.gradients, runs.architectures), runs.architectures),
        parallelism_verdict(evidence.parallelism, runs.architectures),
        generalisation_verdict(runs.results, runs.architectures),
    ]
