"""The workload on which training and decoding are timed, one that other toolkits can be timed on too.

20,000 sequences of 5 to 50 tokens out of 4,000 types, to be reversed; 64 a batch. Recurrent models have embeddings and
hidden layers of 256 and one layer; the transformer 3 + 3 layers of size 256, 1,024 inside, 4 heads. gru_bahdanau is
what other toolkits call so, the additive score in a decoder with input feeding; gru_rnnsearch is the paper's own model.

Results are lines `lengthwise ARCHITECTURE METRIC VALUE # DETAILS`, which benchmarks/compare.py sets beside those of
other toolkits.
"""

import argparse
import math
import time
from typing import Any

import torch

from data.batch import FIRST_TOKEN
from experiments.machine import keep_freed_memory
from experiments.probes.timing import matrix_product_speed
from lit_models import LitSeq2Seq, architectures

VOCABULARY, SHORTEST, LONGEST, BATCH, EXAMPLES = 4000, 5, 50, 64, 20_000
RECURRENT: dict[str, Any] = {"hidden_size": 256}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gru": ("GRU", RECURRENT),
    "gru_bahdanau": ("LuongGlobal", {**RECURRENT, "cell": "gru", "score": "additive", "input_feeding": True}),
    "gru_rnnsearch": ("Bahdanau", RECURRENT),
    "gru_rnnsearch_bidirectional": ("Bahdanau", {**RECURRENT, "bidirectional": True}),
    "gru_luong": ("LuongGlobal", {**RECURRENT, "cell": "gru", "input_feeding": True}),
    "gru_luong_nofeed": ("LuongGlobal", {**RECURRENT, "cell": "gru"}),
    "lstm_luong": ("LuongGlobal", {**RECURRENT, "input_feeding": True}),
    "transformer": ("Transformer", {"hidden_size": 256, "num_layers": 3, "num_heads": 4, "feed_forward_size": 1024}),
}


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that both benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2, help="how often each is timed (default: 2)")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the options, with all models where none is named; set threads and memory as a trial does."""
    options = parser.parse_args()
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(MODELS)}")
    options.models = options.models or list(MODELS)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    return options


def make(name: str, **options: Any) -> LitSeq2Seq:
    """The same weights every time."""
    torch.manual_seed(0)
    kind, sizes = MODELS[name]
    # Rows of logits that begin anywhere but at a multiple of 64 bytes make the product of the output layer a third
    # slower on a CPU, hence the rounding, to 8 in other toolkits.
    vocabulary = math.ceil((VOCABULARY + FIRST_TOKEN) / 16) * 16
    return architectures()[kind](source_vocab_size=vocabulary, target_vocab_size=vocabulary, **{**sizes, **options})


class Stopwatch:
    """Wall-clock and CPU seconds of what runs inside, and the speed of a matrix product right before and after."""

    def __enter__(self) -> "Stopwatch":
        self.speed = matrix_product_speed(torch.device("cpu"), "32-true")
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        self.speed = (self.speed + matrix_product_speed(torch.device("cpu"), "32-true")) / 2

    def report(self, name: str, metric: str, amount: float, **details: float) -> None:
        """Print how much was done a second."""
        more = "".join(f" {key}={value:.4g}" for key, value in details.items())
        print(
            f"lengthwise {name} {metric} {amount / self.wall:.2f} # cpu={amount / self.cpu:.2f} "
            f"gflops={self.speed / 1e9:.0f} threads={torch.get_num_threads()}{more}",
            flush=True,
        )
