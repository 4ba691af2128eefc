"""What the framework costs: a training step under Trainer with the suite's callbacks, against a bare PyTorch loop.

    python benchmarks/framework_cost.py [--model GRU] [--hidden_size 64] [--length 20] [--steps 200]

Both train the same model on the same batches with the same optimiser, schedule and clipping. They take turns, so that
a change of the machine's speed meets both, and the medians are compared.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from data.datamodule import Seq2SeqDataModule
from experiments.config.parser import TRAINER_DEFAULTS
from experiments.trial.callbacks import EarlyStopping, History, Progress
from lit_models import LitSeq2Seq, architectures
from lit_models.lit_module import schedule_factor


def make_model(options: argparse.Namespace, data: Seq2SeqDataModule) -> LitSeq2Seq:
    """The same model every time."""
    torch.manual_seed(0)
    return architectures()[options.model](
        source_vocab_size=data.source_vocab_size,
        target_vocab_size=data.target_vocab_size,
        hidden_size=options.hidden_size,
    )


def bare_loop(model: LitSeq2Seq, data: Seq2SeqDataModule, steps: int) -> float:
    """Seconds a step of the plainest loop that does the same work."""
    optimizer = model.make_optimizer()
    factor = schedule_factor(model.schedule, model.warmup_steps, steps)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    batches = itertools.islice(data.train_dataloader(), steps)
    begin = time.perf_counter()
    for batch in batches:
        optimizer.zero_grad()
        model.training_step(batch, 0).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
    return (time.perf_counter() - begin) / steps


def under_trainer(model: LitSeq2Seq, data: Seq2SeqDataModule, steps: int) -> float:
    """Seconds a step under Trainer, with every callback of a trial; validation is left out of both."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history.csv")
        callbacks = [
            history,
            Progress(lambda share, note: None),
            EarlyStopping("validation/loss"),
            ModelCheckpoint(folder, monitor="validation/loss"),
        ]
        settings = {**TRAINER_DEFAULTS, "max_steps": steps, "limit_val_batches": 0, "accelerator": "cpu"}
        trainer = pl.Trainer(**settings, callbacks=callbacks, default_root_dir=folder)
        trainer.fit(model, data)
        return history.seconds / steps


def main() -> None:
    """Print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="GRU", choices=architectures())
    parser.add_argument("--hidden_size", type=int, default=64)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--batch_tokens", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = Seq2SeqDataModule(length=options.length, train_examples=5000, batch_tokens=options.batch_tokens)
    bare_loop(make_model(options, data), data, 20)
    times: dict[str, list[float]] = {"bare loop": [], "Trainer": []}
    for _ in range(options.repeats):
        times["bare loop"].append(bare_loop(make_model(options, data), data, options.steps))
        times["Trainer"].append(under_trainer(make_model(options, data), data, options.steps))
    for name, seconds in times.items():
        print(f"{name:10} {1000 * statistics.median(seconds):8.3f} ms a step (median of {len(seconds)})")
    ratios = [framework / bare for bare, framework in zip(*times.values(), strict=True)]
    print(f"{'ratio':10} {statistics.median(ratios):8.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
