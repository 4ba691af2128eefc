"""How many target tokens a second each architecture trains on, EOS included and padding not.

    python -m benchmarks.training [--threads 1] [--precision 32-true] [MODEL...]

The workload of benchmarks/workload.py under Lightning's Trainer with the callbacks of a trial: AdamW, dropout 0.1,
gradient norm clipped at 1, the DataModule's batches and the optimiser included. `share` is how much of the machine's
speed at a large float32 matrix product, timed right before and after, the matrix products of the model come to.
"""

import tempfile
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.callbacks import ModelCheckpoint

from benchmarks.workload import BATCH, EXAMPLES, LONGEST, SHORTEST, VOCABULARY, Stopwatch, arguments, make, parse
from data.batch import PAD, Batch
from data.datamodule import Seq2SeqDataModule
from experiments.config.parser import TRAINER_DEFAULTS
from experiments.probes.timing import count_flops
from experiments.trial.callbacks import History, Progress
from lit_models import LitSeq2Seq

WARM_UP = 5


def flops_by_length(name: str) -> np.ndarray:
    """Coefficients of the operations of one sequence, a polynomial of degree 2 in its length."""
    lengths = np.array([SHORTEST, LONGEST // 2, LONGEST])
    return np.polyfit(lengths, [count_flops(make(name), int(length), VOCABULARY) for length in lengths], 2)


class TimedSteps(pl.Callback):
    """Time windows of steps, from the start of the first to the start of the step behind the last."""

    def __init__(self, name: str, metric: str, steps: int, repeats: int) -> None:
        self.name, self.metric, self.steps, self.left = name, metric, steps, repeats
        self.watch, self.tokens, self.flops, self.end = Stopwatch(), 0, 0.0, WARM_UP
        self.coefficients = flops_by_length(name)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if batch_idx == self.end:
            if batch_idx > WARM_UP:
                self.watch.__exit__()
                share = self.flops / self.watch.wall / self.watch.speed
                step_ms = 1000 * self.watch.wall / self.steps
                self.watch.report(self.name, self.metric, self.tokens, step_ms=step_ms, share=share)
                self.left -= 1
            trainer.should_stop = self.left == 0
            self.tokens, self.flops, self.end = 0, 0.0, batch_idx + self.steps
            self.watch.__enter__()
        self.tokens += int((batch.target_out != PAD).sum())
        lengths = (batch.target_out != PAD).sum(dim=1).numpy() - 1  # EOS counts no source token
        self.flops += float(np.polyval(self.coefficients, lengths).sum())


def train(model: LitSeq2Seq, data: Seq2SeqDataModule, timed: TimedSteps, precision: str) -> None:
    """Train as a trial does, validation left out, until all windows are timed."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history.csv")
        callbacks = [timed, history, Progress(lambda share, note: None), ModelCheckpoint(folder)]
        steps = WARM_UP + timed.left * timed.steps + 1
        settings = {**TRAINER_DEFAULTS, "max_steps": steps, "limit_val_batches": 0, "accelerator": "cpu"}
        trainer = pl.Trainer(**{**settings, "precision": precision}, callbacks=callbacks, default_root_dir=folder)
        trainer.fit(model, data)


def main() -> None:
    """Time what was asked for."""
    parser = arguments("Time training steps, everything around them included.")
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    parser.add_argument("--steps", type=int, default=40, help="steps of a timed window (default: 40)")
    options = parse(parser)
    data = Seq2SeqDataModule(
        vocabulary=VOCABULARY,
        length=LONGEST,
        min_length=SHORTEST,
        train_examples=EXAMPLES,
        batch_size=BATCH,
        batch_tokens=BATCH * (LONGEST + 1),
    )
    metric = "train_tgt_tok_s" + ("_bf16" if options.precision == "bf16-mixed" else "")
    for name in options.models:
        model = make(name, dropout=0.1)
        print(f"# {name}: {model.num_params} parameters", flush=True)
        train(model, data, TimedSteps(name, metric, options.steps, options.repeats), options.precision)


if __name__ == "__main__":
    main()
