"""Made-up measurements of gradient flow, for the tests of analysis/."""

import numpy as np
import pandas as pd

from analysis.tables.schema import GRADIENTS
from tests.helpers.analysis_tables import ARCHITECTURES

RECURRENT = ARCHITECTURES[:3]
DECAYS = {"VanillaRNN": (0.5, 0.51, 0.52), "LSTM": (0.7, 0.71, 0.72), "GRU": (0.8, 0.81, 0.82)}


def rows_of(arch, norms, length=None, seed=0, phase="initial", step=0, quantity="embedding_gradient", variant="",
            task="first-token-recall"):  # fmt: skip
    """One curve: norms at distance 1, 2, …"""
    length = length or len(norms)
    return [
        (arch, variant, task, length, seed, phase, step, quantity, distance, norm, norm * 0.8, norm * 1.5, 32)
        for distance, norm in enumerate(norms, start=1)
    ]


def exponential(decay, length=30, first=0.1):
    return first * decay ** np.arange(length)


def flat(length=30):
    """Norms that go up and down without a trend."""
    return 0.1 * np.where(np.arange(length) % 2, 1.2, 1.0)


def table_of(*curves):
    return pd.DataFrame([row for rows in curves for row in rows], columns=GRADIENTS.names)


def seeds_of(arch, norms, phase="initial", step=0, quantity="embedding_gradient"):
    return [row for seed, curve in enumerate(norms) for row in rows_of(arch, curve, None, seed, phase, step, quantity)]


def training_rows(arch, seed, steps=(100, 200)):
    common = (arch, "", "first-token-recall", 30, seed, "training")
    return [
        (*common, step, quantity, np.nan, value, low, high, np.nan)
        for step in steps
        for quantity, value, low, high in (
            ("gradient_norm", 100 / step + seed, 0.1, 9.0), ("gradient_norm/encoder", 0.3, 0.1, 0.9),
            ("clipped", 0.1 * (seed + 1), np.nan, np.nan),
        )
    ]  # fmt: skip


def seven_architectures():
    """Seven architectures, three seeds, at initialisation, in training and after it."""
    curves = []
    for arch in ARCHITECTURES:
        for seed in range(3):
            norms = exponential(DECAYS[arch][seed]) if arch in DECAYS else flat()
            for phase, step in (("initial", 0), ("training", 100), ("trained", 200)):
                curves.append(rows_of(arch, norms**0.5 if step else norms, seed=seed, phase=phase, step=step))
                if arch in DECAYS:
                    curves.append(rows_of(arch, norms, seed=seed, phase=phase, step=step, quantity="jacobian"))
            curves.append(training_rows(arch, seed))
    return table_of(*curves)


def written(table, folder, **columns):
    """A folder's gradients.csv; `columns` replace those of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gradients.csv"
    table.assign(**columns).to_csv(path, index=False)
    return path
