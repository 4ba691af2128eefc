"""How many sentences a second each architecture decodes, greedily and with a beam of five.

    python benchmarks/decoding.py [--threads 1] [--sentences 128] [MODEL...]

The workload is one other toolkits can be timed on: sources of 5 to 50 tokens sorted by length, as `lengthwise
translate` and others sort them, a target vocabulary of 4,000, batches of 64, the end of the sentence forbidden and
exactly 60 steps, so that the work does not depend on the weights.
Recurrent models: embedding and hidden size 256, one layer. Transformer: 3 + 3 layers, size 256, 1,024 inside,
4 heads. Prints `lengthwise MODEL METRIC VALUE`, with the speed of a large matrix product before and after.
"""

import argparse
import time
from typing import Any

import torch

from data.batch import EOS, FIRST_TOKEN, PAD
from lit_models import LitSeq2Seq, architectures
from lit_models.decoding import beam_search, greedy

VOCABULARY, STEPS, BATCH = 4000, 60, 64
RECURRENT: dict[str, Any] = {"hidden_size": 256}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gru": ("GRU", RECURRENT),
    "gru_bahdanau": ("Bahdanau", RECURRENT),
    "gru_bahdanau_bidirectional": ("Bahdanau", {**RECURRENT, "bidirectional": True}),
    "gru_luong": ("LuongGlobal", {**RECURRENT, "cell": "gru", "input_feeding": True}),
    "gru_luong_nofeed": ("LuongGlobal", {**RECURRENT, "cell": "gru"}),
    "lstm_luong": ("LuongGlobal", {**RECURRENT, "input_feeding": True}),
    "transformer": ("Transformer", {"hidden_size": 256, "num_layers": 3, "num_heads": 4, "feed_forward_size": 1024}),
}


def make(name: str) -> LitSeq2Seq:
    """A model that never ends a sentence."""
    torch.manual_seed(0)
    kind, options = MODELS[name]
    sizes = {"source_vocab_size": VOCABULARY + FIRST_TOKEN, "target_vocab_size": VOCABULARY + FIRST_TOKEN}
    model = architectures()[kind](**{**sizes, **options}).eval()
    step = model.step

    def endless(token: torch.Tensor, state: Any) -> Any:
        logits, state, attention = step(token, state)
        logits[:, EOS] = -1e9
        return logits, state, attention

    model.step = endless  # type: ignore[method-assign]
    return model


def batches(sentences: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Sources of 5 to 50 tokens, shortest first."""
    draw = torch.Generator().manual_seed(1)
    made = []
    for lengths in torch.randint(5, 51, (sentences,), generator=draw).sort().values.split(BATCH):
        source = torch.randint(FIRST_TOKEN, VOCABULARY, (len(lengths), int(lengths.max())), generator=draw)
        source[torch.arange(source.shape[1])[None, :] >= lengths[:, None]] = PAD
        made.append((source, lengths))
    return made


def matrix_product_speed() -> float:
    """GFLOP/s of a product of two 2048 x 2048 float32 matrices."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    torch.mm(a, b)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < 0.5:
        torch.mm(a, b)
        count += 1
    return 2 * 2048**3 * count / (time.perf_counter() - begin) / 1e9


def main() -> None:
    """Time what was asked for."""
    parser = argparse.ArgumentParser(description="Time decoding, greedy and with a beam of five.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sentences", type=int, default=128)
    options = parser.parse_args()
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(MODELS)}")
    torch.set_num_threads(options.threads)
    work = batches(options.sentences)
    for name in options.models or MODELS:
        model = make(name)
        print(f"# {name}: {model.num_params} parameters", flush=True)
        for metric, decode in (("greedy_sent_s_len60", greedy), ("beam5_sent_s_len60", beam_search)):
            for _ in range(2):
                before = matrix_product_speed()
                wall, cpu = time.perf_counter(), time.process_time()
                for source, lengths in work:
                    decode(model, source, lengths, STEPS)  # a beam of five is the default
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                speed = (before + matrix_product_speed()) / 2
                print(
                    f"lengthwise {name} {metric} {options.sentences / wall:.2f} # cpu={options.sentences / cpu:.2f} "
                    f"gflops={speed:.0f} threads={options.threads}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
