"""word2vec (Mikolov et al. 2013): word vectors that predict a word from those around it, or these from it. The program
is gensim's.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from experiments.errors import UsageError

LONGEST = 10_000  # words of a sentence; of a longer one gensim leaves the rest out


class _Passes:
    """Sentences that can be read again and again, and that tell when they are."""

    def __init__(self, sentences: Sequence[Sequence[str]], done: Callable[[int], Any]) -> None:
        self.parts = [words[at : at + LONGEST] for words in sentences for at in range(0, len(words), LONGEST)]
        self.done = done

    def __iter__(self) -> Iterator[Sequence[str]]:
        for part in self.parts:
            yield part
            self.done(len(part))


def require_gensim(method: str) -> None:
    """Refuse a method before any text is read.

    Raises:
        UsageError: gensim is not installed.
    """
    try:
        import gensim  # noqa: F401
    except ImportError:
        raise UsageError(
            f"--method: {method} is gensim's, which is not installed; pip install 'lengthwise[embed]', or take glove"
        ) from None


def train_word2vec(
    sentences: Sequence[Sequence[str]],
    words: Sequence[str],
    method: str,
    size: int,
    window: int,
    epochs: int,
    seed: int,
    done: Callable[[int], Any] = lambda count: None,
) -> np.ndarray:
    """Vectors (V, D) of the words, in their order. One thread, so that the same seed gives the same.

    Args:
        sentences: words of V alone.
        words: V.
        method: cbow, or skip-gram; both with gensim's five negative samples.
        size: D.
        window: greatest distance of two words that are learnt from.
        epochs: how often every sentence is read, besides once to count words.
        seed: of the initial values and of what is drawn.
        done: told the number of words whenever some have been read.
    """
    from gensim.models import Word2Vec

    model = Word2Vec(
        _Passes(sentences, done), vector_size=size, window=window, min_count=1, sg=int(method == "skip-gram"),
        epochs=epochs, seed=seed, workers=1,
    )  # fmt: skip
    return np.stack([model.wv[word] for word in words])
