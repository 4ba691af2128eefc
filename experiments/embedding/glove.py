"""GloVe (Pennington, Socher & Manning 2014): word vectors whose products are the logarithms of how often words stand
near each other.

Shapes: V words, D numbers of a vector, N pairs of words that stand near each other, B of them in a batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from torch import Tensor, nn

ALPHA = 0.75  # of the paper, section 3.1
X_MAX = 10.0  # of the authors' example on 17 million words; the paper has 100 for 6 billion
LEARNING_RATE, BATCH = 0.05, 1024  # of the paper, section 4.2; the authors' program takes one pair at a time


def cooccurrences(sentences: Sequence[Sequence[int]], vocabulary: int, window: int) -> coo_array:
    """How often words stand near each other: two of one sentence that are d <= window apart count 1/d, both ways.

    Args:
        sentences: ids of words, 0 … V-1.
        vocabulary: V.
        window: greatest distance of two words that count.

    Returns:
        The symmetric matrix (V, V), its non-zero entries alone.
    """
    words = np.fromiter((word for sentence in sentences for word in sentence), dtype=np.int64)
    places = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
    total = csr_array((vocabulary, vocabulary))
    longest = max(map(len, sentences), default=0)  # beyond which no two words stand
    for distance in range(1, min(window + 1, longest)):
        together = places[distance:] == places[:-distance]
        pairs = words[:-distance][together], words[distance:][together]
        total += coo_array((np.full(len(pairs[0]), 1 / distance), pairs), shape=total.shape).tocsr()
    return (total + total.T).tocoo()


class Glove(nn.Module):
    """The vectors w and biases b of words, and those of the words near them.

    Args:
        vocabulary: V.
        size: D.
        generator: what the initial values are drawn from, uniformly within 1/2D of 0, as in the authors' program.
    """

    def __init__(self, vocabulary: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.words, self.contexts = (nn.Embedding(vocabulary, size, sparse=True) for _ in range(2))
        self.word_biases, self.context_biases = (nn.Embedding(vocabulary, 1, sparse=True) for _ in range(2))
        for weight in self.parameters():
            nn.init.uniform_(weight, -0.5 / size, 0.5 / size, generator=generator)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(B,) the logarithm of how often each pair stands near each other, as the vectors have it."""
        products = (self.words(rows) * self.contexts(columns)).sum(dim=1)
        return products + self.word_biases(rows)[:, 0] + self.context_biases(columns)[:, 0]

    def loss(self, rows: Tensor, columns: Tensor, counts: Tensor, x_max: float = X_MAX) -> Tensor:
        """Equation 8 of the paper over B pairs: the sum of f(X) (w·w̃ + b + b̃ - log X)², f(X) = min(1, (X/x_max)^α)."""
        weights = (counts / x_max).pow(ALPHA).clamp(max=1)
        return (weights * (self(rows, columns) - counts.log()).square()).sum()


def train_glove(
    counts: coo_array,
    size: int,
    epochs: int,
    seed: int,
    x_max: float = X_MAX,
    done: Callable[[int], Any] = lambda count: None,
) -> np.ndarray:
    """Vectors (V, D) by AdaGrad on the entries of a matrix: the sum w + w̃ for each word. The same seed gives the same.

    Args:
        counts: (V, V), see `cooccurrences`; N entries.
        size: D.
        epochs: how often every entry is seen.
        seed: of the initial values and of the order of entries.
        x_max: from which count on all pairs weigh the same.
        done: told the number of entries whenever some have been seen.
    """
    generator = torch.Generator().manual_seed(seed)
    shape: Any = counts.shape  # for which scipy has no type
    model = Glove(shape[0], size, generator)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=LEARNING_RATE, initial_accumulator_value=1.0)
    rows, columns = (torch.from_numpy(places.astype(np.int64)) for places in (counts.row, counts.col))
    values = torch.from_numpy(counts.data.astype(np.float32))
    with torch.sparse.check_sparse_tensor_invariants(False):  # torch warns where one does not say
        for _ in range(epochs):
            for batch in torch.randperm(len(values), generator=generator).split(BATCH):
                optimizer.zero_grad()
                model.loss(rows[batch], columns[batch], values[batch], x_max).backward()
                optimizer.step()
                done(len(batch))
    return (model.words.weight + model.contexts.weight).detach().numpy()
