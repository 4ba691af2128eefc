"""What a person types wrong ends in exit code 2 and one line that names it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config.options import read_options
from experiments.config.parser import parse_trial, trial_parser
from experiments.config.trial import Trial
from experiments.config.widths import pick_width
from experiments.errors import UsageError
from experiments.main import main
from lit_models import architectures
from tests.helpers.trials import checkpoint_of

MODEL = ["--model", "GRU"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ft"], "'ft' is not a verb; did you mean 'fit'?"),
        (["fit"], "--model: say which architecture: Bahdanau, "),
        (["fit", "--model", "GRUX"], "--model: 'GRUX' is unknown; did you mean GRU?"),
        (["fit", "--model", "lstm"], "--model: 'lstm' is unknown; did you mean LSTM?"),
        (
            ["fit", *MODEL, "--model.hiden_size", "3"],
            "--model.hiden_size is not an option; did you mean --model.hidden_",
        ),
        (["fit", *MODEL, "--model.score", "dot"], "(GRU has no such option)"),
        (["fit", *MODEL, "--model.hidden_size", "0"], "model.hidden_size: 0 must be at least 1"),
        (["fit", *MODEL, "--model.hidden_size", "256.0"], "--model.hidden_size: 256.0 is not an integer"),
        (["fit", *MODEL, "--model.hidden_size", "null"], "model.hidden_size: null is not a value for it"),
        (["fit", *MODEL, "--model.dropout", "2"], "model.dropout: 2.0 must lie in [0, 1)"),
        (["fit", *MODEL, "--model.learning_rate", "fast"], "--model.learning_rate: fast is not a number"),
        (["fit", *MODEL, "--model.learning_rate", "0"], "model.learning_rate: 0.0 must be above 0"),
        (["fit", *MODEL, "--model.teacher_forcing", "1.5"], "model.teacher_forcing: 1.5 must lie in [0, 1]"),
        (["fit", *MODEL, "--model.context", "all"], "--model.context: all is not one of initial-state, every-step"),
        (["fit", "--model", "Transformer", "--model.hidden_size", "30"], "model.hidden_size: 30 must be a positive"),
        (["fit", "--model", "Transformer", "--model.positions", "rotary"], "--model.positions: rotary is not one of"),
        *(
            (
                [
                    "fit",
                    "--model",
                    "Transformer",
                    f"--model.positions={kind}",
                    "--model.max_positions=40",
                    "--data.length=20",
                    "--data.eval_lengths=[40]",
                ],
                f"model.max_positions: 40 {kind} positions are too few for a sequence of 41 tokens; the longest tested",
            )
            for kind in ("learned", "randomised")
        ),
        (
            ["fit", "--model=DecoderOnly", "--model.positions=learned", "--model.max_positions=40", "--data.length=20"],
            "model.max_positions: 40 learned positions are too few for a sequence of 41 tokens",
        ),
        (
            ["fit", "--model=EncoderOnly", "--data.task=numbers"],
            "--model: EncoderOnly gives an output for each source token, or one in all; numbers asks for another "
            "number (data.task). The models that can are Bahdanau, DecoderOnly, ",
        ),
        (["fit", "--model=EncoderOnly", "--data.task=mqar"], "--model: EncoderOnly gives an output for each source"),
        (["fit", "--model", "LuongLocal", "--model.window", "0"], "model.window: 0 must be at least 1"),
        (["fit", *MODEL, "--data.task", "revers"], "data.task: 'revers' is unknown; did you mean 'reverse'?"),
        (["fit", *MODEL, "--data.length", "0"], "data.length: 0 is too short"),
        (["fit", *MODEL, "--data.length", "ten"], "--data.length: ten is not an integer"),
        (["fit", *MODEL, "--data.vocabulary", "1"], "data.vocabulary: 1 is too small"),
        (["fit", *MODEL, "--data.lenght", "5"], "--data.lenght is not an option; did you mean --data.length?"),
        (["fit", *MODEL, "--seed_everything", "true"], "seed_everything: a trial needs a number as its seed"),
        (["fit", *MODEL, "--seed_everything", "-1"], "seed_everything: -1 must lie between 0 and 4294967295"),
        (["fit", *MODEL, "--seed_everything", "5000000000"], "seed_everything: 5000000000 must lie between 0"),
        (["fit", *MODEL, "--threads", "0"], "--threads: 0 must lie between 1 and 1024"),
        (["translate", "--checkpoint=x", "--threads", "1025"], "--threads: 1025 must lie between 1 and 1024"),
        (["gradients", "--threads", "0"], "--threads: 0 must lie between 1 and 1024"),
        (["parallelism", "--threads", "1", "0"], "--threads: 0 must lie between 1 and 1024"),
        (["fit", *MODEL, "--early_stopping.monitor", "validation/bleu"], "early_stopping.monitor: validation/bleu is"),
        (["fit", *MODEL, "--checkpoint.monitor=validation/blue"], "checkpoint.monitor: validation/blue is no metric"),
        (["fit", *MODEL, "--checkpoint.monitor=validation/alignment_accuracy"], "checkpoint.monitor: validation/align"),
        (
            ["fit", *MODEL, "--data.task=numbers", "--checkpoint.monitor=validation/bits_recovered"],
            "checkpoint.monitor",
        ),
        (["fit", *MODEL, "--checkpoint.filename=other"], "checkpoint.filename: other cannot be given"),
        (["fit", *MODEL, "--checkpoint.save_top_k=0"], "checkpoint.save_top_k: 0 cannot be given"),
        (["fit", *MODEL, "--early_stopping.patience=-5"], "early_stopping.patience: -5 must be at least 0"),
        (["fit", *MODEL, "--trainer.log_every_n_steps=0"], "trainer.log_every_n_steps: 0 must be at least 1"),
        (["fit", *MODEL, "--trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches: 0 must be at"),
        (["fit", *MODEL, "--trainer.limit_val_batches=0"], "trainer.limit_val_batches: 0.0 cannot be given"),
        (["fit", *MODEL, "--trainer.limit_test_batches=0.5"], "trainer.limit_test_batches: 0.5 cannot be given"),
        (["fit", *MODEL, "--trainer.overfit_batches=0.5"], "trainer.overfit_batches: 0.5 cannot be given"),
        (["fit", *MODEL, "--trainer.check_val_every_n_epoch=3"], "trainer.check_val_every_n_epoch: 3 cannot be given"),
        (["fit", *MODEL, "--trainer.gradient_clip_val=-1"], "trainer.gradient_clip_val: -1.0 must be at least 0"),
        (["fit", *MODEL, "--trainer.fast_dev_run=true"], "trainer.fast_dev_run: True leaves no checkpoint"),
        (["fit", *MODEL, "--trainer.enable_checkpointing=false"], "trainer.enable_checkpointing: False leaves no"),
        (["fit", *MODEL, f"--decoding.seed={10**30}"], "decoding.seed: a number beyond"),
        (["translate", "--checkpoint=x", f"--seed={10**30}"], f"--seed: {10**30} must be at most"),
        (["translate", "--checkpoint=x", f"--beam_size={10**12}"], f"--beam_size: {10**12} must be at most"),
        (["fit", *MODEL, "--data.task=dates", "--data.length=100000"], "data.length: 100000 dates are too many"),
        (["fit", *MODEL, "--data.task=dates", f"--data.length={10**9}"], "data.length: 1000000000 dates are too many"),
        (
            ["fit", *MODEL, f"--data.length={10**9}", f"--data.batch_tokens={10**10}", "--trainer.max_steps=0"],
            "trainer.max_steps: 0 must be at least 1",
        ),
        (["fit", *MODEL, "--trainer.max_steps", "-1"], "trainer.max_steps: -1 must be at least 1"),
        (["fit", *MODEL, "--trainer.max_epochs", "3"], "trainer.max_epochs: training is counted in steps here"),
        (["fit", *MODEL, "--trainer.val_check_interval", "0.5"], "trainer.val_check_interval: 0.5 must be a number"),
        (["fit", *MODEL, "--config", "nothing.yaml"], "nothing.yaml does not exist"),
        (["fit", *MODEL, "--config", "/"], "--config: / does not exist or is no file"),
        (["translate", "--checkpoint", "/"], "--checkpoint: / does not exist or is no file"),
        (["fit", *MODEL, "--parameter_budget", "10"], "--parameter_budget: GRU cannot come within 10% of 10"),
        (
            ["fit", *MODEL, "--parameter_budget", "9000", "--model.hidden_size=8"],
            "--parameter_budget: it chooses model.hidden_size, which is given too; leave one of them out",
        ),
        (["fit", *MODEL, "stray"], "stray is not an option"),
        (["test", "--checkpoint=x", "--print_config"], "--print_config: only fit has it; that of a checkpoint is the"),
        (["test", *MODEL], "--checkpoint: say which checkpoint to test"),
        (["predict", "--checkpoint", "nothing.ckpt"], "--checkpoint: nothing.ckpt does not exist"),
        (["sizes", "--budget", "0"], "--budget: 0 must be at least 1"),
        (["sweep", "nothing.yaml", f"--count={10**30}"], f"--count: {10**30} must be at most 1000000"),
        (["sweep", "nothing.yaml", f"--seed={2**128}"], f"--seed: {2**128} must be at most 2^128 - 1"),
        (["sweep", "nothing.yaml"], "nothing.yaml: No such file or directory"),
        (["report", "nothing"], "nothing does not exist"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"lengthwise {arguments[0]}: error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: GRU\ndata:\n  lenght: 4\n", "mine.yaml: data.lenght is not an option; did you mean data.length?"),
        ("# lengthwise 0.0.1\nmodel: GRU\nold:\n  x: 4\n", "mine.yaml (written by version 0.0.1): old.x is not an"),
        ("model: GRU\ndata: [\n", "mine.yaml: not valid YAML near line 3"),
        ("model:\n  class_path: GRV\n", "--model: 'GRV' is unknown; did you mean GRU?"),
        ("model:\n  class_path: GRU\n  init_args:\n    depth: 3\n", "--model.depth is not an option"),
        ("model: GRU\ndata:\n  length: long\n", "--data.length: long is not an integer"),
    ],
)
def test_a_mistake_in_a_configuration_file_is_one_line(
    content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    assert main(["fit", f"--config={path}", f"--runs={tmp_path / 'runs'}"]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert main(["fit", *MODEL, f"--runs={tmp_path / 'file'}"]) == 2
    assert re.search(r"--runs: cannot write .*: Not a directory\n$", capsys.readouterr().err)


def test_a_checkpoint_that_is_none_or_another_models_is_one_line(
    finished: Callable[..., Trial], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    best = Path(shutil.copy(checkpoint_of(finished()), tmp_path))
    content = best.read_bytes()
    cases = {
        "is not a readable checkpoint": (content[: len(content) // 2], []),
        "--model.hidden_size: 16 contradicts the checkpoint": (content, ["--model.hidden_size=16"]),
        "--model: LSTM contradicts the checkpoint": (content, ["--model=LSTM"]),
    }
    for message, (damaged, options) in cases.items():
        best.write_bytes(damaged)
        assert main(["test", f"--checkpoint={best}", *options]) == 2
        printed = capsys.readouterr().err
        assert message in printed
        assert printed.count("\n") == 1


def test_a_checkpoint_there_is_no_memory_for_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    (tmp_path / "best.ckpt").touch()
    monkeypatch.setattr("torch.load", refused)
    assert main(["translate", f"--checkpoint={tmp_path / 'best.ckpt'}"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("lengthwise translate: error: out of memory: ") and "8 bytes\n" in printed
    assert printed.count("\n") == 1


def test_the_model_may_stand_behind_its_options(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {length: 9}\n")
    given = ["--model.hidden_size=3", "--data.length=4", "--model", "GRU", f"--config={tmp_path / 'mine.yaml'}"]
    names = [(option.name, option.value) for option in read_options(given)]
    assert names == [("data.length", 9), ("model", "GRU"), ("model.hidden_size", "3"), ("data.length", "4")]
    names = [(option.name, option.value) for option in read_options(["--model.hidden_size=3", "--model=GRU"])]
    assert names == [("model", "GRU"), ("model.hidden_size", "3")]


def test_no_option_takes_a_class() -> None:
    for model in architectures():
        options = trial_parser(model)._option_string_actions
        assert not [name for name in options if name.endswith(".help")]  # by which jsonargparse explains classes


@pytest.mark.parametrize("option", ["--help", "--help-all"])
def test_the_configuration_of_a_trial_is_printed_by_fit_alone(option: str, capsys: pytest.CaptureFixture) -> None:
    for verb in ("fit", "validate"):
        assert main([verb, option]) == 0
        assert ("--print_config" in capsys.readouterr().out) == (verb == "fit")


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict", "sweep", "report", "sizes"])
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture) -> None:
    try:
        code = main([verb, "--help"])
    except SystemExit as ending:
        code = ending.code
    assert code == 0
    assert f"usage: lengthwise {verb}" in capsys.readouterr().out


def test_the_command_lists_its_verbs(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for verb in ("fit", "sweep", "report", "sizes"):
        assert f"\n  {verb} " in printed


@pytest.mark.parametrize("budget", [60_000, 1_000_000])
def test_widths_match_within_a_tenth_of_each_other(budget: int) -> None:
    sizes: dict[str, object] = {"source_vocab_size": 36, "target_vocab_size": 36}
    counts = {}
    for name, model in architectures().items():
        width, counts[name] = pick_width(model, sizes, budget)
        assert model(**sizes, hidden_size=width).num_params == counts[name]  # type: ignore[arg-type]
    assert max(counts.values()) <= 1.1 * min(counts.values())


def test_sizes_prints_every_architecture(capsys: pytest.CaptureFixture) -> None:
    assert main(["sizes", "--budget", "100000"]) == 0
    printed = capsys.readouterr().out
    for name in architectures():
        assert name in printed


@pytest.mark.parametrize(("budget", "other"), [(1, "larger"), (2100, "larger"), (10**10, "smaller")])
def test_where_sizes_do_not_match_the_budget_is_said_to_be_too_small_or_too_large(
    budget: int, other: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["sizes", "--budget", str(budget)]) == 0
    assert re.search(
        rf"do not match within 10%\. \w+ is furthest from it: try a {other} --budget\n$", capsys.readouterr().out
    )


def test_an_option_of_one_architecture_counts_for_it_alone_and_what_comes_later_wins(tmp_path: Path) -> None:
    config = tmp_path / "rates.yaml"
    config.write_text("model:\n  LSTM: {learning_rate: 0.5}\n  Transformer: {learning_rate: 0.25}\n")

    def rate(*arguments: str) -> float:
        return parse_trial([f"--config={config}", *arguments])[1].model.learning_rate

    assert rate("--model", "LSTM") == 0.5
    assert rate("--model", "Transformer") == 0.25
    assert rate("--model", "GRU") == trial_parser("GRU").get_default("model.learning_rate")
    assert rate("--model", "LSTM", "--model.learning_rate", "0.125") == 0.125
    assert rate("--model", "LSTM", "--model.GRU.learning_rate", "0.125") == 0.5
    config.write_text("model:\n  LTSM: {learning_rate: 0.5}\n")
    with pytest.raises(UsageError, match=r"rates.yaml: --model.LTSM.learning_rate is not an option"):
        rate("--model", "LSTM")


def test_an_architecture_named_later_takes_its_part_of_a_file_that_names_another(tmp_path: Path) -> None:
    config = tmp_path / "lstm.yaml"
    config.write_text("model:\n  class_path: LSTM\n  init_args: {num_layers: 2}\n  GRU: {learning_rate: 0.25}\n")
    model, parsed = parse_trial([f"--config={config}", "--model", "GRU"])
    assert (model, parsed.model.learning_rate, parsed.model.num_layers) == ("GRU", 0.25, 2)
