"""GloVe against the paper: its table of words that stand near each other, its objective, and what it can fit."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array

from experiments.embedding.glove import Glove, cooccurrences, train_glove

RICE, EAT, WE = range(3)


def test_words_near_each_other_count_by_the_inverse_of_their_distance_within_a_sentence() -> None:
    # "we eat rice we", and "rice" alone; with window 2 the two words "we", 3 apart, do not meet.
    counts = cooccurrences([[WE, EAT, RICE, WE], [RICE]], vocabulary=3, window=2).toarray()
    expected = np.zeros((3, 3))
    expected[WE, EAT] = 1 + 1 / 2
    expected[WE, RICE] = 1 / 2 + 1
    expected[EAT, RICE] = 1
    np.testing.assert_allclose(counts, expected + expected.T)
    assert cooccurrences([[WE, WE]], vocabulary=3, window=1).toarray()[WE, WE] == 2  # each stands near the other


def test_no_distance_beyond_the_longest_sentence_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "experiments.embedding.glove.coo_array", lambda *args, **options: seen.append(0) or coo_array(*args, **options)
    )
    sentences = [[WE, EAT, RICE], [RICE]]
    far, near = (cooccurrences(sentences, vocabulary=3, window=window).toarray() for window in (50, 2))
    np.testing.assert_array_equal(far, near)
    assert len(seen) == 2 + 2
    assert not cooccurrences([], vocabulary=3, window=2).nnz


def objective(tables: list[np.ndarray], counts: np.ndarray, x_max: float) -> float:
    """Equation 8 of the paper, written out."""
    words, contexts, word_biases, context_biases = tables
    total = 0.0
    for i, j in zip(*counts.nonzero(), strict=True):
        weight = (counts[i, j] / x_max) ** 0.75 if counts[i, j] < x_max else 1.0
        predicted = words[i] @ contexts[j] + word_biases[i, 0] + context_biases[j, 0]
        total += weight * (predicted - np.log(counts[i, j])) ** 2
    return total


def test_gradients_are_the_finite_differences_of_the_objective() -> None:
    counts = np.array([[0, 3.0, 0.5], [3.0, 2.0, 40.0], [0.5, 40.0, 0]])  # 40 is above x_max
    model = Glove(3, 2, torch.Generator().manual_seed(1)).double()
    rows, columns = (torch.from_numpy(places) for places in counts.nonzero())
    with torch.sparse.check_sparse_tensor_invariants(False):
        model.loss(rows, columns, torch.from_numpy(counts)[rows, columns], x_max=10.0).backward()
    parameters = list(model.parameters())
    step = 1e-6
    for index, parameter in enumerate(parameters):
        for place in np.ndindex(*parameter.shape):
            shifted = []
            for sign in (1, -1):
                tables = [one.detach().numpy().copy() for one in parameters]
                tables[index][place] += sign * step
                shifted.append(objective(tables, counts, x_max=10.0))
            assert parameter.grad is not None
            difference = (shifted[0] - shifted[1]) / (2 * step)
            np.testing.assert_allclose(parameter.grad.to_dense()[place], difference, rtol=1e-5, atol=1e-7)


def test_what_products_and_biases_can_say_is_learnt() -> None:
    draw = np.random.default_rng(0)
    true, biases = draw.normal(size=(8, 2)), draw.normal(size=8)
    counts = coo_array(np.exp(true @ true.T + biases[:, None] + biases))
    told: list[int] = []

    def missed(epochs: int) -> float:
        """How much of the true vectors no linear map of w + w̃ finds, beside the longest."""
        found = train_glove(counts, size=4, epochs=epochs, seed=0, x_max=0.01, done=told.append)
        found, wanted = found - found.mean(axis=0), true - true.mean(axis=0)
        rest = wanted - found @ np.linalg.lstsq(found, wanted, rcond=None)[0]
        return np.abs(rest).max() / np.abs(wanted).max()

    assert missed(0) > 0.3 and missed(400) < 0.1
    assert sum(told) == 400 * counts.nnz
