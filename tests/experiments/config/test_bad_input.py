"""Hundreds of wrong values, drawn by hypothesis: each ends in exit code 2 and a line that names it, and in no file."""

import os
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.config.trial import resolve_trial
from experiments.errors import UsageError
from experiments.main import main
from experiments.sweep.sweep_file import expand, read_sweep
from tests.helpers.trials import SMALL

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

drawn = settings(derandomize=True, deadline=None, database=None)

# What can stand on a command line: any text without a null character.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
LETTERS = st.text(string.ascii_letters + " .,:;'\"[]{}()/\\\n\t\u2028é中", min_size=1, max_size=12)
WORDS = LETTERS.filter(lambda word: not _is_value(word)).map(lambda word: "x" + word)
NOT_FINITE = st.sampled_from([".nan", ".inf", "-.inf", "nan", "inf"])
FRACTIONS = st.floats(-1e6, 1e6).filter(lambda number: not number.is_integer()).map(str)
TOO_SMALL = st.integers(-(10**30), 0).map(str)
NOT_WHOLE = st.one_of(
    WORDS, FRACTIONS, NOT_FINITE, st.sampled_from(["[1]", "{a: 1}", "1e3.5", "0x", "1,5", "1 2", "--"])
)
NOT_POSITIVE = st.one_of(WORDS, NOT_FINITE, st.floats(-1e9, 0).map(str), st.sampled_from(["[1.0]", "{a: 1}", "1,5"]))
NO_SHARE = st.one_of(WORDS, NOT_FINITE, st.floats(1.01, 1e9).map(str), st.floats(-1e9, -0.01).map(str))

WHOLE = st.one_of(NOT_WHOLE, TOO_SMALL)
NEGATIVE = st.one_of(NOT_WHOLE, st.integers(-(10**30), -1).map(str))
HUGE = st.one_of(st.integers(2**63, 10**30), st.integers(-(10**30), -(2**63) - 1)).map(str)
NO_THREADS = st.one_of(WHOLE, st.integers(1025, 10**30).map(str))
FIT = {
    **dict.fromkeys(
        ("data.length", "data.train_examples", "data.validation_examples", "data.test_examples", "data.batch_tokens",
         "data.batch_size", "model.hidden_size", "trainer.max_steps", "trainer.val_check_interval",
         "trainer.log_every_n_steps", "trainer.accumulate_grad_batches"), st.one_of(WHOLE, HUGE),
    ),
    **dict.fromkeys(
        ("model.warmup_steps", "gradients.every", "decoding.top_k", "decoding.seed", "early_stopping.patience"),
        st.one_of(NEGATIVE, HUGE),
    ),
    "seed_everything": st.one_of(NEGATIVE, st.integers(2**32, 10**30).map(str)),
    "threads": NO_THREADS,
    **dict.fromkeys(("trainer.limit_train_batches", "trainer.limit_val_batches", "trainer.limit_test_batches"),
                    st.one_of(WORDS, NOT_FINITE, TOO_SMALL, HUGE, st.floats(0, 0.99).map(str))),
    "trainer.gradient_clip_val": st.one_of(WORDS, NOT_FINITE, st.floats(-1e9, -0.01).map(str)),
    **dict.fromkeys(("decoding.beam_size", "decoding.samples"), st.one_of(WHOLE, st.integers(10_001, 10**30).map(str))),
    **dict.fromkeys(("model.learning_rate", "decoding.temperature"), NOT_POSITIVE),
    **dict.fromkeys(("model.dropout", "model.teacher_forcing", "model.label_smoothing", "decoding.top_p"), NO_SHARE),
    **dict.fromkeys(
        ("data.task", "model", "model.schedule", "decoding.method", "wandb", "compile", "cuda_graphs",
         "trainer.precision", "trainer.accelerator", "checkpoint.mode", "early_stopping.mode", "early_stopping.monitor",
         "checkpoint.monitor", "checkpoint.filename", "checkpoint.save_top_k", "parameter_budget", "trainer.devices",
         "trainer.max_epochs", "config",
         "data.eval_lengths", "data.corpus", "data.min_length"), WORDS,
    ),
}  # fmt: skip
FURTHER = {
    ("translate", "--checkpoint=nothing.ckpt"): {
        **dict.fromkeys(("beam_size", "samples", "n_best"), st.one_of(WHOLE, st.integers(10_001, 10**30).map(str))),
        "threads": NO_THREADS,
        **dict.fromkeys(("method", "utility", "device"), WORDS),
        "top_k": NEGATIVE,
        "seed": st.one_of(NEGATIVE, HUGE),
        "temperature": NOT_POSITIVE,
        "length_penalty": st.one_of(WORDS, NOT_FINITE, st.floats(-1e9, -0.01).map(str)),
        "top_p": NO_SHARE,
        "checkpoint": WORDS,
    },
    ("gradients",): {
        **dict.fromkeys(
            ("lengths", "seeds", "sequences", "vocabulary", "parameter_budget", "hidden_size", "threads"), WHOLE
        ),
        **dict.fromkeys(("models", "task", "checkpoint"), WORDS),
        "position": NEGATIVE,
    },
    ("parallelism",): {
        **dict.fromkeys(
            ("lengths", "batch_size", "tokens", "vocabulary", "parameter_budget", "threads", "repeats",
             "speedup_length"), WHOLE,
        ),
        **dict.fromkeys(("models", "precision", "device"), WORDS),
        **dict.fromkeys(("time_limit", "memory_limit"), NOT_POSITIVE),
    },
    ("sizes",): dict.fromkeys(("budget", "hidden_size", "vocabulary"), WHOLE),
    ("sweep", "small.yaml"): {
        "workers": WHOLE,
        "count": st.one_of(WHOLE, st.integers(1_000_001, 10**30).map(str)),
        "seed": st.one_of(NEGATIVE, st.integers(2**128, 10**50).map(str)),
    },
}  # fmt: skip


def _is_value(word: str) -> bool:
    """Whether YAML takes a text for something else, such as a list."""
    try:
        return not isinstance(yaml.safe_load("x" + word), str)
    except yaml.YAMLError:
        return False


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with a sweep file, a file where a folder is wanted, and nothing that could train."""
    path = tmp_path_factory.mktemp("bad")
    parameters = {name: {"value": value} for name, value in SMALL.items()}
    (path / "small.yaml").write_text(yaml.safe_dump({"method": "grid", "parameters": parameters}))
    (path / "file").touch()

    def begun(*_: Any, **__: Any) -> None:
        raise AssertionError("the work was begun")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for name in ("fit.run_trial", "sweep.run_jobs", "gradients._measure_all", "parallelism._measure"):
            patch.setattr(f"experiments.verbs.{name}", begun)
        yield path


def refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """The one line that a command is refused with."""
    assert main(list(arguments)) == 2, arguments
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith(f"lengthwise {arguments[0]}: error: ")
    assert sorted(os.listdir()) == ["file", "small.yaml"]  # noqa: PTH208
    return line


def anew(examples: int) -> Any:
    """Settings of a test that draws so many examples; what its fixtures hold is emptied by each of them."""
    return settings(drawn, max_examples=examples, suppress_health_check=list(hypothesis.HealthCheck))


@anew(2)
@given(values=st.fixed_dictionaries(FIT))
def test_a_wrong_value_of_any_option_of_fit_is_named(values: dict[str, str], capsys: pytest.CaptureFixture) -> None:
    for name, value in values.items():
        model = [] if name == "model" else ["--model=GRU"]
        line = refused(capsys, "fit", *model, f"--{name}={value}")
        option = {"seed_everything": "seed"}.get(name, name)
        assert option.rpartition(".")[2] in line or option.partition(".")[0] in line, (name, value)


@pytest.mark.parametrize("verb", FURTHER, ids=lambda verb: verb[0])
@anew(60)
@given(data=st.data())
def test_a_wrong_value_of_an_option_is_named(
    verb: tuple[str, ...], data: st.DataObject, capsys: pytest.CaptureFixture
) -> None:
    name = data.draw(st.sampled_from(sorted(FURTHER[verb])))
    value = data.draw(FURTHER[verb][name])
    line = refused(capsys, *verb, f"--{name}={value}")
    assert f"--{name}" in line, (name, value)


@pytest.mark.parametrize("verb", [*FURTHER, ("fit", "--model=GRU"), ("report", ".")], ids=lambda verb: verb[0])
@anew(15)
@given(name=st.text(string.ascii_lowercase, min_size=3, max_size=9).map("zz".__add__), value=TEXTS)
def test_an_option_that_does_not_exist_is_named(
    verb: tuple[str, ...], name: str, value: str, capsys: pytest.CaptureFixture
) -> None:
    assert name in refused(capsys, *verb, f"--{name}={value}")


@anew(40)
@given(path=TEXTS.filter(lambda text: not text.startswith("-") and not Path(text).exists()))
def test_a_file_or_folder_that_does_not_exist_is_named(path: str, capsys: pytest.CaptureFixture) -> None:
    for verb in ("report", "sweep"):
        refused(capsys, verb, path)
    for option in ("--config", "--checkpoint"):
        assert option in refused(capsys, "fit" if option == "--config" else "test", "--model=GRU", f"{option}={path}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "--model=GRU", "--runs=file/runs"),
        ("sweep", "small.yaml", "--output=file/runs"),
        ("gradients", "--output=file/runs", "--models", "GRU", "--lengths", "4"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_that_cannot_be_made_is_named(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from experiments.trial.run import run_trial

    monkeypatch.setattr("experiments.verbs.fit.run_trial", run_trial)
    line = refused(capsys, *arguments)
    assert "cannot write file/runs" in line and line.endswith(": Not a directory")


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def changed(data: st.DataObject, content: Any) -> Any:
    """A nested value with one place in it replaced by something else."""
    if isinstance(content, dict) and content and data.draw(st.integers(0, 3)):
        key = data.draw(st.sampled_from(sorted(content)))
        if data.draw(st.integers(0, 5)) == 0:
            return {data.draw(TEXTS) if name == key else name: value for name, value in content.items()}
        return {**content, key: changed(data, content[key])}
    return data.draw(PLAIN)


SWEEP = {
    "method": "random", "name": "mine", "run_cap": 3, "metric": {"name": "validation/loss", "goal": "minimize"},
    "parameters": {
        "data.length": {"values": [5, 10]}, "model": {"value": "GRU"}, "model.dropout": {"min": 0.0, "max": 0.5},
        "model.learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
        "seed_everything": {"distribution": "q_uniform", "min": 0, "max": 9, "q": 1},
    },
    "command": ["${env}", "lengthwise", "fit", "${args}"],
}  # fmt: skip


@anew(400)
@given(data=st.data())
def test_a_sweep_file_is_read_or_refused_in_a_line_that_names_it(folder: Path, data: st.DataObject) -> None:
    path = folder / "small.yaml"
    before = path.read_bytes()
    if data.draw(st.integers(0, 4)):
        path.write_text(yaml.safe_dump(changed(data, SWEEP), allow_unicode=True), encoding="utf-8")
    else:
        path.write_bytes(data.draw(st.binary(max_size=40)))
    try:
        expand(read_sweep(path), count=4)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1, str(error)
        assert str(path) in str(error)
    finally:
        path.write_bytes(before)


CONFIG = {
    "model": {"class_path": "GRU", "init_args": {"hidden_size": 12, "dropout": 0.1, "betas": [0.9, 0.98]}},
    "data": {"task": "copy", "length": 5, "eval_lengths": [7], "train": None, "batch_size": None},
    "trainer": {"max_steps": 20, "precision": "32-true", "accelerator": "cpu", "gradient_clip_val": 1.0},
    "decoding": {"method": "greedy", "beam_size": 3},
    "early_stopping": {"patience": 3, "monitor": "validation/loss"},
    "seed_everything": 1, "threads": 1, "parameter_budget": None, "wandb": False, "gradients": {"every": 5},
}  # fmt: skip


@anew(200)
@given(data=st.data())
def test_a_configuration_is_understood_or_refused_in_one_line(folder: Path, data: st.DataObject) -> None:
    path = folder / "small.yaml"
    before = path.read_bytes()
    path.write_text(yaml.safe_dump(changed(data, CONFIG), allow_unicode=True), encoding="utf-8")
    try:
        resolve_trial([f"--config={path}"])
    except UsageError as error:
        assert len(str(error).splitlines()) == 1, str(error)
    finally:
        path.write_bytes(before)
    assert sorted(os.listdir()) == ["file", "small.yaml"]  # noqa: PTH208
