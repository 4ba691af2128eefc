"""How many sentences a second each architecture decodes, greedily and with a beam of five.

    python -m benchmarks.decoding [--threads 1] [--sentences 128] [MODEL...]

The workload of benchmarks/workload.py: sources sorted by length, as `lengthwise translate` and others sort them, the
end of the sentence forbidden and exactly 60 steps, so that the work does not depend on the weights.
"""

from typing import Any

import torch

from benchmarks.workload import BATCH, LONGEST, SHORTEST, VOCABULARY, Stopwatch, arguments, make, parse
from data.batch import EOS, FIRST_TOKEN, PAD
from lit_models import LitSeq2Seq
from lit_models.decoding.search import beam_search, greedy

STEPS = 60


def endless(model: LitSeq2Seq) -> LitSeq2Seq:
    """The same model, which never ends a sentence."""
    step = model.step

    def step_without_end(token: torch.Tensor, state: Any) -> Any:
        logits, state, attention = step(token, state)
        logits[:, EOS] = -1e9
        return logits, state, attention

    model.step = step_without_end  # type: ignore[method-assign]
    return model.eval()


def batches(sentences: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Sources, shortest first."""
    draw = torch.Generator().manual_seed(1)
    made = []
    for lengths in torch.randint(SHORTEST, LONGEST + 1, (sentences,), generator=draw).sort().values.split(BATCH):
        source = torch.randint(FIRST_TOKEN, VOCABULARY, (len(lengths), int(lengths.max())), generator=draw)
        source[torch.arange(source.shape[1])[None, :] >= lengths[:, None]] = PAD
        made.append((source, lengths))
    return made


def main() -> None:
    """Time what was asked for."""
    parser = arguments("Time decoding, greedy and with a beam of five.")
    parser.add_argument("--sentences", type=int, default=128)
    options = parse(parser)
    work = batches(options.sentences)
    for name in options.models:
        model = endless(make(name))
        print(f"# {name}: {model.num_params} parameters", flush=True)
        for metric, decode in (("greedy_sent_s_len60", greedy), ("beam5_sent_s_len60", beam_search)):
            for _ in range(options.repeats):
                with Stopwatch() as watch:
                    for source, lengths in work:
                        decode(model, source, lengths, STEPS)  # a beam of five is the default
                watch.report(name, metric, options.sentences)


if __name__ == "__main__":
    main()
