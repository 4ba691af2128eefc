"""What a checkpoint carries is what every verb uses: its tokenizers, its model, and the configuration of its trial."""

import shutil
from pathlib import Path

import pytest
import torch

from data.datamodule import Seq2SeqDataModule
from experiments.config.carried import resolve_use
from experiments.config.parser import make_cli
from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.main import main
from experiments.trial.checkpoints import KEY, fits, load_checkpoint, read_checkpoint
from tests.helpers.text_files import write_corpus
from tests.helpers.trials import checkpoint_of, run, small_trial

NUMBERS = {
    "data__task": "numbers", "data__length": 3, "data__vocabulary": 320, "data__batch_tokens": 1000,
    "trainer__max_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a trial on generated text, alone in its folder."""
    folder = tmp_path_factory.mktemp("numbers")
    trial = small_trial(folder, **NUMBERS)
    run(trial)
    return Path(shutil.copy(checkpoint_of(trial), folder / "bare.ckpt"))


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A trial on symbols that has run; tests leave it as it is."""
    trial = small_trial(tmp_path_factory.mktemp("copying"), data__task="copy", trainer__max_steps=2)
    run(trial)
    return trial


def text_of(data: Seq2SeqDataModule) -> list[str]:
    assert data.text is not None
    return data.text.text("test").source


def test_another_seed_draws_other_examples_and_reads_them_with_the_tokenizer_of_the_checkpoint(numbers: Path) -> None:
    checkpoint = load_checkpoint(numbers)
    first, second = (resolve_use(checkpoint, [f"--seed_everything={seed}"], "test").data for seed in (0, 1))
    assert text_of(first) != text_of(second)
    assert checkpoint.text is not None and first.text is not None and second.text is not None
    assert first.text.tokenizers == second.text.tokenizers == checkpoint.text.tokenizers


def test_other_text_takes_the_place_of_what_the_checkpoint_was_trained_on(numbers: Path, tmp_path: Path) -> None:
    files = write_corpus(tmp_path)
    options = [f"--{name}={value}" for name, value in files.items() if "train" not in name]
    use = resolve_use(load_checkpoint(numbers), [*options, "--data.min_length=null"], "test")
    assert text_of(use.data) == Path(files["data.test.source"]).read_text().splitlines()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--data.vocabulary=300", "--data.vocabulary: 300 contradicts the checkpoint, which was trained with 320"),
        ("--data.task=copy", "--data.task: copy contradicts the checkpoint, which was trained with numbers"),
        ("--data.joint_tokenizer=false", "--data.joint_tokenizer: False contradicts"),
        ("--data.lowercase=true", "--data.lowercase: True contradicts"),
        ("--data.target_language=en", "--data.target_language: en contradicts"),
        ("--model=LSTM", "--model: LSTM contradicts the checkpoint, which is of GRU"),
        ("--model.learning_rate=0.5", "--model.learning_rate: 0.5 contradicts"),
        ("--parameter_budget=100000", "--parameter_budget: 100000 contradicts"),
        ("--config=mine.yaml", "mine.yaml: --data.tokenizer: bpe contradicts"),
    ],
)
def test_an_option_that_contradicts_a_checkpoint_is_refused_in_one_line(
    numbers: Path, option: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("data: {tokenizer: bpe}\n")
    with pytest.raises(UsageError) as refused:
        resolve_use(load_checkpoint(numbers), [option], "test")
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_task_on_symbols_is_that_of_the_checkpoint(copying: Trial) -> None:
    checkpoint = load_checkpoint(Path(checkpoint_of(copying)))
    with pytest.raises(UsageError, match=r"--data\.task: sort contradicts the checkpoint, which was trained with copy"):
        resolve_use(checkpoint, ["--data.task=sort"], "test")


@pytest.mark.parametrize("beside", [True, False])
def test_a_checkpoint_of_an_earlier_version_says_its_model_and_task_and_a_file_beside_it_the_rest(
    copying: Trial, tmp_path: Path, beside: bool
) -> None:
    older = tmp_path / "checkpoints" / "best.ckpt"
    older.parent.mkdir()
    content = read_checkpoint(Path(checkpoint_of(copying)))
    del content[KEY]["config"]
    torch.save(content, older)
    if beside:
        shutil.copy(copying.folder / "config.yaml", tmp_path)
    data = resolve_use(load_checkpoint(older), [], "test").data
    assert (data.task, data.vocabulary) == ("copy", 8)
    assert (data.length, data.test_examples) == ((5, 40) if beside else (20, 500))


def test_a_checkpoint_without_its_trial_gives_what_the_trial_gave(
    copying: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for path in (checkpoint_of(copying), shutil.copy(checkpoint_of(copying), tmp_path)):
        for verb in ("validate", "test", "predict"):
            assert main([verb, f"--checkpoint={path}"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] and printed[0].count("\n") > 40


def test_training_goes_on_only_from_a_checkpoint_with_the_same_tokenizers(numbers: Path, tmp_path: Path) -> None:
    cli = make_cli(small_trial(tmp_path, **NUMBERS).config)
    model, data, content = cli.model, cli.datamodule, read_checkpoint(numbers)
    assert fits(content, model, data)  # type: ignore[arg-type]
    other = small_trial(tmp_path, **NUMBERS, seed_everything=1)
    assert not fits(content, model, make_cli(other.config).datamodule)  # type: ignore[arg-type]
