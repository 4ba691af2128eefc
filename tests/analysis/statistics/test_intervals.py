"""Means and intervals over seeds, and the verdicts drawn from them."""

import math

import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from scipy import stats

from analysis.statistics.intervals import (
    MeanInterval,
    bootstrap_p_value,
    bootstrap_sums,
    capacity,
    corpus_bleu,
    holm,
    mean_interval,
    percentile_interval,
    prediction_interval,
    resample_seeds,
)


def test_interval_worked_by_hand():
    # mean 2, s = 1, t(0.975; 2 degrees of freedom) = 4.302653, half width 4.302653 / sqrt(3) = 2.484138
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert interval.high == pytest.approx(2 + 2.484138, abs=1e-6)
    assert interval.count == 3


@pytest.mark.parametrize("count", [2, 3, 10])
def test_interval_equals_scipys(count):
    values = np.random.default_rng(count).normal(3.0, 2.0, count)
    low, high = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert mean_interval(values)[1:3] == pytest.approx((low, high))


def test_interval_covers_the_true_mean_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(0.0, 1.0, (2000, 3))
    covered = [interval.low <= 0 <= interval.high for interval in map(mean_interval, samples)]
    assert 0.93 < np.mean(covered) < 0.97


def test_prediction_interval_worked_by_hand():
    # mean 2, s = 1, half width 4.302653 x sqrt(1 + 1/3) = 4.968276
    assert prediction_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - 4.968276, 2 + 4.968276, 3), abs=1e-6)


def test_prediction_interval_covers_the_next_value_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(0.0, 1.0, (2000, 6))
    intervals = [prediction_interval(sample[:5]) for sample in samples]
    covered = [interval.low <= sample[5] <= interval.high for interval, sample in zip(intervals, samples, strict=True)]
    assert 0.93 < np.mean(covered) < 0.97


def test_one_seed_gives_no_interval():
    interval = mean_interval([0.7])
    assert interval.mean == 0.7
    assert math.isnan(interval.low) and math.isnan(interval.high)
    assert math.isnan(interval.clipped(0, 1).low)
    assert math.isnan(prediction_interval([0.7]).low)


def test_clipping_keeps_the_mean():
    assert MeanInterval(0.9, 0.7, 1.1, 3).clipped(0, 1) == (0.9, 0.7, 1.0, 3)


def test_no_values_is_an_error():
    with pytest.raises(ValueError):
        mean_interval([])


def test_capacity_is_the_largest_mean_over_lengths():
    length, bits = capacity({10: [50.0, 50.0], 20: [80.0, 90.0], 40: [60.0, 100.0]})
    assert length == 20
    assert bits.mean == 85.0
    assert bits.low < 85.0 < bits.high


def bootstrap_bleu(statistics: np.ndarray, samples: int = 1000, seed: int = 0) -> np.ndarray:
    """Corpus BLEU (systems, samples) of drawn test sets."""
    return corpus_bleu(bootstrap_sums(statistics, samples, seed))


OUTPUTS = ["the cat sat on the mat", "a dog runs fast", "two men are playing football in a park"]
REFERENCES = ["the cat sat on a mat", "a dog is running fast", "two men play football in the green park"]


def statistics_of(outputs, references):
    """BLEU's statistics of each sentence (sentences, 10), as sentences.csv has them."""
    scores = [sacrebleu.corpus_bleu([output], [[reference]]) for output, reference in zip(outputs, references,
                                                                                            strict=True)]  # fmt: skip
    return np.array([[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores])


def test_bleu_worked_by_hand():
    # "the cat sat on the mat" against "the cat sat on a mat": 5 of 6 words ("the" counts once), 3 of 5 pairs,
    # 2 of 4 triples, 1 of 3 quadruples; 6 words each, so without a penalty.
    [counts] = statistics_of(OUTPUTS[:1], REFERENCES[:1])
    assert counts.tolist() == [5, 3, 2, 1, 6, 5, 4, 3, 6, 6]
    assert corpus_bleu(counts) == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)


def test_short_output_pays_the_brevity_penalty():
    counts = np.array([4, 3, 2, 1, 4, 3, 2, 1, 4, 8])
    assert corpus_bleu(counts) == pytest.approx(100 * math.exp(1 - 8 / 4))


def test_bleu_of_summed_statistics_is_sacrebleus_corpus_bleu():
    counts = statistics_of(OUTPUTS, REFERENCES)
    expected = sacrebleu.corpus_bleu(OUTPUTS, [REFERENCES]).score
    assert corpus_bleu(counts.sum(axis=0)) == pytest.approx(expected, rel=1e-12)


def test_bleu_equals_sacrebleus_for_any_statistics():
    random = np.random.default_rng(0)
    total = np.sort(random.integers(0, 30, (500, 4)), axis=1)[:, ::-1]
    correct = random.integers(0, total + 1) * random.integers(0, 2, (500, 4))
    words = np.stack([total[:, 0], random.integers(1, 40, 500)], axis=1)
    expected = [
        BLEU.compute_bleu(c.tolist(), t.tolist(), int(w[0]), int(w[1]), smooth_method="exp").score
        for c, t, w in zip(correct, total, words, strict=True)
    ]
    assert corpus_bleu(np.concatenate([correct, total, words], axis=1)) == pytest.approx(expected)
    assert np.count_nonzero(expected) > 100 and 0.0 in expected


def made_up(sentences, chance, seed):
    """Statistics (sentences, 10) of a system that gets a word right with this chance."""
    random = np.random.default_rng(seed)
    words = random.integers(5, 20, sentences)
    total = np.stack([words - n for n in range(4)], axis=1)
    correct = random.binomial(total, chance ** np.arange(1, 5))
    return np.concatenate([correct, total, words[:, None], words[:, None]], axis=1)


def test_bootstrap_sums_draw_the_same_sentences_for_every_system():
    numbered = np.arange(12.0).reshape(1, 4, 3)
    sums = bootstrap_sums(np.concatenate([numbered, 2 * numbered]), samples=50, seed=1)
    assert sums.shape == (2, 50, 3)
    np.testing.assert_array_equal(sums[1], 2 * sums[0])
    assert len(np.unique(sums[0], axis=0)) > 5


def test_bootstrap_draws_as_many_sentences_as_there_are():
    np.testing.assert_array_equal(bootstrap_sums(np.ones((2, 7, 1)), samples=20), np.full((2, 20, 1), 7))


def test_bootstrap_is_the_same_again_and_other_with_another_seed():
    counts = made_up(50, 0.7, 0)[None]
    first = bootstrap_bleu(counts, 100, seed=3)
    np.testing.assert_array_equal(first, bootstrap_bleu(counts, 100, seed=3))
    assert (first != bootstrap_bleu(counts, 100, seed=4)).any()


@pytest.mark.parametrize("shape", [(10,), (3, 10), (2, 0, 10)])
def test_bootstrap_needs_systems_and_sentences(shape):
    with pytest.raises(ValueError, match="not \\(systems, sentences, statistics\\)"):
        bootstrap_sums(np.ones(shape))


def test_identical_systems_differ_by_nothing_with_p_of_1():
    counts = made_up(60, 0.7, 0)
    first, second = bootstrap_bleu(np.stack([counts, counts]))
    assert (first == second).all()
    assert bootstrap_p_value(first - second) == 1.0
    assert percentile_interval(0.0, first - second, 1) == (0.0, 0.0, 0.0, 1)


def test_pairing_sees_a_difference_that_the_intervals_hide():
    counts = made_up(60, 0.7, 0)
    worse = counts.copy()
    worse[::3, 0:4] = np.maximum(worse[::3, 0:4] - 1, 0)
    better, worse = bootstrap_bleu(np.stack([counts, worse]))
    assert np.quantile(worse, 0.975) > np.quantile(better, 0.025)
    assert bootstrap_p_value(better - worse) == pytest.approx(2 / 1001)


def test_bootstrap_interval_covers_the_true_bleu_about_as_often_as_it_says():
    population = made_up(20_000, 0.7, 0)
    truth = corpus_bleu(population.sum(axis=0))
    drawn = np.random.default_rng(1).integers(0, len(population), (300, 100))
    samples = [bootstrap_bleu(population[lines][None], 300, seed)[0] for seed, lines in enumerate(drawn)]
    low, high = np.quantile(samples, [0.025, 0.975], axis=1)
    assert 0.90 < np.mean((low <= truth) & (truth <= high)) < 0.98


def test_p_values_are_small_as_often_as_they_say_where_nothing_differs():
    p_values = []
    for seed in range(200):
        systems = np.stack([made_up(80, 0.7, 2 * seed), made_up(80, 0.7, 2 * seed + 1)])
        first, second = bootstrap_bleu(systems, 300, seed)
        p_values.append(bootstrap_p_value(first - second))
    assert 0.01 < np.mean(np.array(p_values) < 0.05) < 0.10


def test_seeds_alone_give_the_t_interval():
    values = np.array([30.0, 32.0, 35.0])
    samples = resample_seeds(values, np.tile(values[:, None], 200_000), np.random.default_rng(0))
    assert percentile_interval(values.mean(), samples, 3)[:3] == pytest.approx(mean_interval(values)[:3], abs=0.15)


def test_one_seed_has_the_spread_of_sentences_alone():
    resampled = np.random.default_rng(0).normal(30, 1, (1, 100))
    np.testing.assert_array_equal(resample_seeds(np.array([30.0]), resampled, np.random.default_rng(0)), resampled[0])


def test_intervals_over_few_seeds_cover_the_true_mean():
    random = np.random.default_rng(0)
    covered = []
    for _ in range(600):
        values = random.normal(0, 1, 3)
        samples = resample_seeds(values, np.tile(values[:, None], 500), random)
        low, high = np.quantile(samples, [0.025, 0.975])
        covered.append(low <= 0 <= high)
    assert 0.92 < np.mean(covered) < 0.98


def test_holm_worked_by_hand():
    # sorted 0.01, 0.03, 0.04: times 3, 2, 1 is 0.03, 0.06, 0.04, and none falls below the one before
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
