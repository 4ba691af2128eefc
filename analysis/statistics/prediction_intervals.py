"""Where one more trial should land: intervals for the next seed, not for the mean over all seeds."""

import pandas as pd

from analysis.statistics.intervals import prediction_interval
from analysis.statistics.summaries import PROPORTION, SETTING, at_train_length, over_seeds

LEAST_SEEDS = 3  # with two, almost every interval would be 0…1


def another_seed_points(results: pd.DataFrame) -> pd.DataFrame:
    """Prediction intervals of greedy token accuracy: task, vocabulary, arch, train_length, mean, low, high, seeds."""
    rows = at_train_length(results, "greedy_token_accuracy")
    points = over_seeds(rows, [*SETTING, "arch", "train_length"], PROPORTION, prediction_interval)
    return points[points["seeds"] >= LEAST_SEEDS]
