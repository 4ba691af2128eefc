"""`lengthwise fit | validate | test | predict`: one trial, through LightningCLI."""

import sys
import time
from pathlib import Path

import torch
import yaml
from lightning.pytorch.utilities import move_data_to_device
from tqdm import tqdm

from analysis.tables.schema import ALL, GRADIENTS, RESULTS
from data.datamodule import Seq2SeqDataModule
from data.language.pretraining import PRETRAINING
from experiments.config.carried import resolve_use
from experiments.config.help import full_help, model_help, short_help
from experiments.config.trial import Trial, resolve_trial
from experiments.errors import UsageError
from experiments.evaluation.samples import symbols, table_cell
from experiments.evaluation.text_metrics import NO_BLEU
from experiments.evaluation.translator import Translator
from experiments.files import read_rows
from experiments.machine import is_nonzero_rank
from experiments.tracking.agent import in_sweep
from experiments.trial.callbacks import TrialDiverged
from experiments.trial.checkpoints import load_checkpoint
from experiments.trial.evaluation import evaluate
from experiments.trial.outcome import read_summary, reason
from experiments.trial.run import run_trial
from experiments.trial.stopping import stops_like_ctrl_c
from lit_models import LitSeq2Seq
from lit_models.decoding.decoder import Decoding

EVALUATING = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"  # a bar without steps a second
HELP = {
    "fit": "Train a model, keep the best checkpoint, and test it at every length asked for. The trial's folder is "
    "named after its configuration: the same command again continues where it was stopped.",
    "validate": "Measure a checkpoint on the validation examples.",
    "test": "Measure a checkpoint at every length of --data.eval_lengths.",
    "predict": "Print what a checkpoint makes of the test examples: source, target and output, "
    r"tab-separated; \t, \n, \r and \\ in a text stand for tab, line feed, carriage return and backslash.",
}


def main(verb: str, arguments: list[str]) -> int:
    """Run a verb.

    Raises:
        UsageError: bad input, in one line.
    """
    description = HELP[verb]
    if verb != "fit":
        description += " --checkpoint FILE names it; options not given are those it was trained with."
    if {"-h", "--help"} & set(arguments):
        print(short_help(verb, description))
        return 0
    if "--help-all" in arguments:
        print(full_help(verb, description))
        return 0
    if helped := [word for word in arguments if word.partition("=")[0] == "--model.help"]:
        print(model_help(helped[0].partition("=")[2] or arguments[-1]))
        return 0
    if "--print_config" in arguments:
        if verb != "fit":
            raise UsageError("--print_config: only fit has it; that of a checkpoint is the config.yaml of its trial")
        trial = resolve_trial([word for word in arguments if word != "--print_config"])
        print(yaml.safe_dump(trial.config, sort_keys=False), end="")
        return 0
    if verb == "fit":
        with stops_like_ctrl_c(follow_agent=in_sweep()):
            return _fit(resolve_trial(arguments))
    return _use(verb, *_take_checkpoint(verb, arguments))


def _fit(trial: Trial) -> int:
    if read_summary(trial.folder) is not None:
        print(f"{trial.folder} is complete already")
        if trial.config["gradients"]["every"] and not (trial.folder / GRADIENTS.file).exists():
            print("--gradients.every measures only while a model trains; with another --runs this one trains again")
    bar, calm, drawn = None, 0.1 if sys.stderr.isatty() else 10.0, 0.0  # a log file wants few lines

    def report(share: float, note: str) -> None:
        nonlocal bar, drawn
        if is_nonzero_rank():
            return
        if bar is None:  # only once there is something to show; steps of an earlier run took no time of this one
            steps = trial.config["trainer"]["max_steps"]
            looks = {"desc": trial.name, "unit": "step", "dynamic_ncols": True, "mininterval": calm, "miniters": 1}
            bar = tqdm(total=steps, initial=round(share * steps), **looks)
        if share == 1:
            bar.bar_format = EVALUATING
        bar.set_postfix_str(note, refresh=False)
        if bar.update(round(share * bar.total) - bar.n):
            drawn = time.time()
        elif time.time() - drawn > calm:  # a new note at the same step
            bar.refresh()
            drawn = time.time()

    try:
        summary = run_trial(trial, trial.folder, report)
    except TrialDiverged as error:
        raise UsageError(f"diverged: {error}; see {trial.folder}") from None
    except MemoryError as error:
        raise UsageError(f"{reason(error)}; make model.hidden_size or data.batch_tokens smaller") from None
    except ValueError as error:
        if str(error).startswith(("data.", "model.")):  # an option that only the run itself could refuse
            raise UsageError(str(error)) from None
        raise
    finally:
        if bar is not None:
            bar.close()
    if is_nonzero_rank():
        return 0
    print(f"{summary['arch']} with {summary['num_params']:,} parameters, {summary['steps']} steps")
    _print_accuracy(trial.folder / RESULTS.file)
    return 0


def _print_accuracy(path: Path) -> None:
    """The figures most people look for first, and where the others are."""
    rows = [row for row in read_rows(path) if not row["position"]]
    values = {(row["eval_length"], row["metric"]): row["value"] for row in rows}
    texts = {(row["bucket"], row["metric"]): row["value"] for row in rows if row["bucket"]}
    if texts:
        print("source length  sentences  ROUGE-L   chrF  exact match   BLEU")
        for bucket in dict.fromkeys(bucket for bucket, _ in texts):
            count, chrf, exact = (float(texts[bucket, name]) for name in ("sentences", "chrf", "exact_match_text"))
            rouge, bleu = (
                f"{float(texts[bucket, name]):{width}}" if (bucket, name) in texts else f"{'-':>{width[0]}}"
                for name, width in (("rougeL", "7.4f"), ("bleu", "5.2f"))
            )
            print(f"{bucket:>13}  {count:9.0f}  {rouge}  {chrf:5.2f}  {exact:11.4f}  {bleu}")
        if (ALL, "bleu") not in texts:
            print(NO_BLEU)
        print(path.as_posix())
        return
    if not any(metric == "greedy_token_accuracy" for _, metric in values):  # of pre-training
        for (length, metric), value in values.items():
            print(f"{length:>6}  {metric:24} {float(value):.4f}")
        print(path.as_posix())
        return
    print("length  greedy token accuracy  greedy exact match")
    for length in dict.fromkeys(length for length, _ in values):
        accuracy, exact = (float(values[length, f"greedy_{name}"]) for name in ("token_accuracy", "exact_match"))
        print(f"{length:>6}  {accuracy:21.4f}  {exact:18.4f}")
    print(path.as_posix())


def _take_checkpoint(verb: str, arguments: list[str]) -> tuple[Path, list[str]]:
    """Split off --checkpoint FILE."""
    rest, path = [], None
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--checkpoint":
            path = next(remaining, None)
        elif argument.startswith("--checkpoint="):
            path = argument.partition("=")[2]
        else:
            rest.append(argument)
    if not path:
        raise UsageError(f"--checkpoint: say which checkpoint to {verb}, such as runs/TRIAL/checkpoints/best.ckpt")
    return Path(path), rest


def _use(verb: str, path: Path, arguments: list[str]) -> int:
    checkpoint = load_checkpoint(path)
    model = checkpoint.model
    data, decoding, trainer, threads = resolve_use(
        checkpoint, arguments, "validation" if verb == "validate" else "test"
    )
    if threads is not None:
        torch.set_num_threads(threads)
    if verb == "validate":
        trainer.validate(model, data, verbose=False)
        for name, value in trainer.callback_metrics.items():
            print(f"{name.removeprefix('validation/'):24} {float(value):.6f}")
    elif verb == "test":
        rows = evaluate(trainer, model, data, decoding).rows
        print(f"{'length':>8}  {'metric':24} value")
        for row in rows:
            if row.position is None:
                print(f"{row.bucket or row.eval_length:>8}  {row.metric:24} {row.value:.6f}")
        if data.is_translated and (ALL, "bleu") not in {(row.bucket, row.metric) for row in rows}:
            print(NO_BLEU)
    elif data.task in PRETRAINING:
        raise UsageError(f"predict: {data.task} decodes nothing; lengthwise test measures it")
    elif data.text is not None:
        _predict_text(model.to(trainer.strategy.root_device), data, decoding)
    else:
        _predict(model.to(trainer.strategy.root_device), data)
    return 0


def _predict_text(model: LitSeq2Seq, data: Seq2SeqDataModule, decoding: Decoding) -> None:
    assert data.text is not None
    text = data.text.text("test")
    translator = Translator(model, data.text.tokenizers, data.lowercase)
    print("source\ttarget\toutput")
    translated = translator.translate(text.source, decoding, decoding.generator(model.device))
    for source, target, outputs in zip(text.source, text.target, translated, strict=True):
        print(*map(table_cell, (source, target, outputs[0].text)), sep="\t")


@torch.no_grad()
def _predict(model: LitSeq2Seq, data) -> None:
    model.eval()
    print("source\ttarget\toutput")
    for loader in data.predict_dataloader():
        for index, batch in enumerate(loader):
            outputs = model.predict_step(move_data_to_device(batch, model.device), index).cpu()
            for row in zip(batch.source, batch.target_out, outputs, strict=True):
                print("\t".join(" ".join(symbols(tokens.tolist(), data.task)) for tokens in row))
