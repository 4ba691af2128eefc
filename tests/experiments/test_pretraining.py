"""Pre-training and fine-tuning from beginning to end: whose tokens are read, what is taken, what is measured."""

from pathlib import Path
from typing import Any

import pytest

from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.files import read_rows
from experiments.main import main
from experiments.trial.checkpoints import load_checkpoint
from tests.helpers.text_files import write_corpus
from tests.helpers.trials import checkpoint_of, run, small_trial

SHORT: dict[str, Any] = {
    "data__length": 7, "data__train_examples": 20, "data__validation_examples": 8, "data__test_examples": 8,
    "trainer__max_steps": 2, "data__vocabulary": None,
}  # fmt: skip
ENCODER: dict[str, Any] = {**SHORT, "model": "EncoderOnly", "model__hidden_size": 8, "model__num_heads": 2}


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """Pre-trained on the sentences of negation."""
    trial = small_trial(tmp_path_factory.mktemp("words"), **ENCODER, data__task="masked", data__corpus="negation")
    run(trial)
    return trial


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Sentences without labels, by split."""
    folder = tmp_path_factory.mktemp("text")
    write_corpus(folder)
    return {split: str(folder / f"{split}.en") for split in ("train", "validation", "test")}


def of_files(paths: dict[str, str], task: str, **changes: Any) -> dict[str, Any]:
    sources = {f"data__{split}__source": path for split, path in paths.items()}
    few = {"data__length": 60, "data__vocabulary": 40, "data__byte_fallback": "false", "data__batch_tokens": 400}
    return {**ENCODER, **few, "data__task": task, **sources, **changes}


def labelled(paths: dict[str, str], folder: Path) -> dict[str, str]:
    """The same sentences with labels, in lower case: other text."""
    made = {}
    for split, path in paths.items():
        lines = [
            f"{text.lower()}\t{'dog' if 'dog' in text else 'none'}" for text in Path(path).read_text().splitlines()
        ]
        made[split] = str(folder / f"{split}.tsv")
        Path(made[split]).write_text("\n".join(["text\tlabel", *lines]) + "\n")
    return made


def metrics(trial: Trial) -> set[str]:
    return {row["metric"] for row in read_rows(trial.folder / "results.csv")}


def test_pretraining_measures_what_a_model_says_of_hidden_tokens_and_decodes_nothing(masked: Trial) -> None:
    assert metrics(masked) == {"loss", "perplexity", "padding", "token_accuracy", "exact_match", "chance"}
    assert main(["test", "--checkpoint", checkpoint_of(masked)]) == 0
    assert main(["predict", "--checkpoint", checkpoint_of(masked)]) == 2


def test_negation_goes_on_from_masked_sentences_with_all_weights(
    masked: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(small_trial(tmp_path, **ENCODER, data__task="negation", init_from=checkpoint_of(masked)))
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("--init_from")]
    taken, of = line.split()[1], line.split()[3]
    assert taken == of and "not taken" not in line


def test_ones_own_texts_go_on_from_ones_own_sentences(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = small_trial(tmp_path, **of_files(files, "masked"))
    run(first)
    begun = of_files(labelled(files, tmp_path), "classification", init_from=checkpoint_of(first))
    with pytest.raises(
        UsageError, match=r"^--init_from: the words of .* --data\.tokenizer \S*best\.ckpt reads text in"
    ):
        small_trial(tmp_path, **begun)
    second = small_trial(tmp_path, **begun, data__tokenizer=checkpoint_of(first), data__train_limit=30)
    run(second)
    assert "not taken: output.weight" in capsys.readouterr().err
    assert {"greedy_token_accuracy", "chance"} <= metrics(second)
    tokens = [load_checkpoint(Path(checkpoint_of(trial))).text for trial in (first, second)]
    assert tokens[0] is not None and tokens[1] is not None
    assert tokens[0].tokenizers[0].model == tokens[1].tokenizers[0].model
    capsys.readouterr()
    assert main(["translate", "--checkpoint", checkpoint_of(second), "The dog sees the tree."]) == 0
    assert capsys.readouterr().out.strip() in ("dog", "none", "")
    assert main(["predict", "--checkpoint", checkpoint_of(second)]) == 0


def test_the_name_follows_the_tokenizer_and_not_where_it_lies(
    masked: Trial, files: dict[str, str], tmp_path: Path
) -> None:
    there, moved = checkpoint_of(masked), tmp_path / "moved.ckpt"
    moved.write_bytes(Path(there).read_bytes())
    options = of_files(labelled(files, tmp_path), "classification")
    names = [small_trial(tmp_path, **options, data__tokenizer=one).name for one in (there, moved, "unigram")]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data__task": "tagging", "init_from": "MASKED"}, r"--init_from: the words of .* --data\.corpus tagging$"),
        ({"data__task": "next-token", "data__corpus": "negation"}, r"--model: EncoderOnly gives an output for each"),
        ({"data__task": "masked", "data__corpus": "negation", "data__train_limit": 3}, r"data\.train_limit: negation"),
        ({"data__task": "masked", "data__corpus": "negation", "data__min_length": 2}, r"data\.min_length: 2 must lie"),
        ({"data__task": "text", "data__corpus": "negation"}, r"data\.corpus: text cannot be made of negation"),
        ({"data__task": "masked"}, r"data\.train: name its files, --data\.train\.source FILE, or a corpus"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(
    options: dict[str, Any], message: str, masked: Trial, tmp_path: Path
) -> None:
    given = {name: checkpoint_of(masked) if value == "MASKED" else value for name, value in options.items()}
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        small_trial(tmp_path, **{**ENCODER, **given})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("model", "task"), [("DecoderOnly", "next-token"), ("GRU", "denoise")])
def test_models_that_write_are_pretrained_by_writing(model: str, task: str, tmp_path: Path) -> None:
    heads = {"model__num_heads": 2} if model == "DecoderOnly" else {}
    options = {**SHORT, **heads, "model": model, "model__hidden_size": 8, "data__corpus": "negation"}
    first = small_trial(tmp_path, **options, data__task=task)
    run(first)
    assert "token_accuracy" in metrics(first) and "greedy_token_accuracy" not in metrics(first)
