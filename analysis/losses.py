"""Trials that failed or diverged, said wherever a mean is shown that they are not in."""

from analysis.frames import Frame
from analysis.markdown import listing
from analysis.style import styles


def not_in_means(failures: Frame) -> str:
    """One sentence on the trials that have no results, by architecture and length; empty where there are none.

    Args:
        failures: as `Runs.failures` has them.
    """
    if failures.empty:
        return ""
    looks = styles(failures["arch"].fillna("unknown"))
    groups = failures.fillna({"arch": "unknown"}).groupby(["arch", "train_length", "status"], dropna=False).size()
    found = {key: int(count) for key, count in groups.items()}
    order = {arch: place for place, arch in enumerate(looks)}
    parts = [
        f"{looks[arch].name} at length {length:g}: {count} {status}"
        for (arch, length, status), count in sorted(found.items(), key=lambda item: (order[item[0][0]], *item[0][1:]))
    ]
    return f"In no mean: {listing(parts)}."
