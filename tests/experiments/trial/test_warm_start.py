"""Training from the weights of another trial or from word vectors: what is taken, what stays as it is, and what is
refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.tables.trial_folders import load_runs
from analysis.tables.variants import tell_variants_apart
from data.batch import FIRST_TOKEN
from data.datamodule import Seq2SeqDataModule
from data.tasks import TASKS
from experiments.config.parser import make_cli
from experiments.config.trial import Trial
from experiments.errors import UsageError
from experiments.trial.checkpoints import KEY, read_checkpoint, same_tokens
from experiments.trial.warm_start import warm_start
from tests.helpers.trials import checkpoint_of, run, small_trial, text_trial

SHORT: dict[str, Any] = {"trainer__max_steps": 2, "data__train_examples": 20, "data__test_examples": 4}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A trial at length 5, to begin from."""
    trial = small_trial(tmp_path_factory.mktemp("runs"), **SHORT)
    run(trial)
    return trial


def weights(trial: Trial) -> dict[str, torch.Tensor]:
    return read_checkpoint(Path(checkpoint_of(trial)))["state_dict"]


def test_a_longer_trial_begins_from_the_weights_of_a_shorter_one(
    first: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = {**SHORT, "data__length": 8, "init_from": checkpoint_of(first), "freeze": "source_embedding.*"}
    trial = small_trial(tmp_path, **begun)
    run(trial)
    before, after = weights(first), weights(trial)
    assert f"--init_from: {len(before)} of {len(before)} weights are those of {checkpoint_of(first)}\n" in (
        capsys.readouterr().err
    )
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {"source_embedding.weight"}
    far = max(float((before[name] - after[name]).abs().max()) for name in before)
    assert far < 0.05  # two steps away


def test_a_report_tells_apart_what_was_frozen(tmp_path: Path) -> None:
    patterns = ["null", "source_embedding.*", "[source_embedding.*, encoder.*]"]
    for pattern in patterns:
        run(small_trial(tmp_path, **SHORT, freeze=pattern))
    labels = {name.partition("freeze=")[2] for name in tell_variants_apart(load_runs([tmp_path])).trials["arch"]}
    assert labels == {"None]", "source_embedding.*]", "source_embedding.*, encoder.*]"}


def test_another_vocabulary_leaves_out_what_depends_on_it(
    first: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = small_trial(tmp_path, **{**SHORT, "data__vocabulary": 9, "init_from": checkpoint_of(first)})
    run(trial)
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("--init_from")]
    assert "not taken: source_embedding.weight (12 x 12 there, 13 x 12 here), target_embedding.weight" in line


@pytest.mark.parametrize(
    ("trained_on", "task", "same"),
    [("copy", "sort", True), ("tagging", "tagging", True), ("tagging", "negation", False), ("copy", "tagging", False)],
)
def test_words_of_another_task_are_other_tokens_and_symbols_are_not(trained_on: str, task: str, same: bool) -> None:
    content = {KEY: {"task": trained_on, "text": None}}
    assert same_tokens(content, Seq2SeqDataModule(task, length=6)) == same


def test_the_name_follows_the_content_of_the_checkpoint_and_stays_without_one(first: Trial, tmp_path: Path) -> None:
    plain, begun = small_trial(tmp_path), small_trial(tmp_path, init_from=checkpoint_of(first))
    moved = tmp_path / "moved.ckpt"
    moved.write_bytes(Path(checkpoint_of(first)).read_bytes())
    assert small_trial(tmp_path, init_from="null", freeze="null").name == plain.name
    assert small_trial(tmp_path, init_from=moved).name == begun.name != plain.name
    assert small_trial(tmp_path, freeze="decoder.*").name != plain.name


WIDER = (
    r"no weight of .*best\.ckpt fits; it is of GRU with hidden_size 12, source_vocab_size 12, .* "
    r"and this trial of GRU with hidden_size 16"
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_from": "FIRST", "model.hidden_size": 16}, f"--init_from: {WIDER}"),
        ({"init_from": "nowhere.ckpt"}, r"--init_from: nowhere\.ckpt does not exist"),
        ({"init_from": __file__}, r"--init_from: .* is not a readable checkpoint"),
        (
            {"freeze": "encoders.*"},
            r"--freeze: encoders\.\* matches no parameter of GRU; there are source_embedding\.\*",
        ),
        ({"freeze": "*"}, r"--freeze: \* leaves nothing to train"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    options: dict[str, Any], message: str, first: Trial, tmp_path: Path
) -> None:
    given = {name: checkpoint_of(first) if value == "FIRST" else value for name, value in options.items()}
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        small_trial(tmp_path, **given)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------ word vectors

WORDS: dict[str, Any] = {**SHORT, "data__task": "tagging", "data__vocabulary": None, "data__length": 4}


def vector_file(path: Path, *words: str, size: int = 12) -> Path:
    """Word vectors whose numbers are 1, 2 … by word."""
    rows = [" ".join([word, *[str(number)] * size]) for number, word in enumerate(words, start=1)]
    path.write_text("\n".join([f"{len(words)} {size}", *rows]) + "\n", encoding="utf-8")
    return path


def test_embeddings_begin_with_the_vectors_of_words_and_stay_there_where_they_are_frozen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = TASKS["tagging"].words
    vectors = vector_file(tmp_path / "vectors.txt", known[3], "xylophone", known[0])
    trial = small_trial(tmp_path, **WORDS, model__embeddings=vectors, freeze="source_embedding.*")
    run(trial)
    count = f"2 of {len(known)}"
    assert (
        f"--model.embeddings: {count} source embeddings are those of {vectors}, "
        f"{count} target embeddings are those of {vectors}\n"
    ) in capsys.readouterr().err
    after = weights(trial)
    source, target = after["source_embedding.weight"], after["target_embedding.weight"]
    given = {FIRST_TOKEN + 3: 1.0, FIRST_TOKEN: 3.0}
    assert {row: source[row].unique().tolist() for row in given} == {row: [value] for row, value in given.items()}
    assert sum(len(row.unique()) == 1 for row in source) == 2  # the others are drawn
    for row, value in given.items():  # two steps away
        torch.testing.assert_close(target[row], torch.full((12,), value), atol=0.05, rtol=0)


def first_numbers(folder: Path, side: str, *, option: str) -> dict[str, float]:
    """The pieces of a text trial whose embeddings begin with the vectors of `vector_file`, and their numbers."""
    cli = make_cli(text_trial(folder, model__embeddings=option).config)
    warm_start(cli.model, None, cli.datamodule)
    table = getattr(cli.model, f"{side}_embedding").weight.detach()
    pieces = cli.datamodule.text.tokenizers[0].pieces(range(len(table)))
    return {piece: float(row[0]) for piece, row in zip(pieces, table, strict=True) if len(row.unique()) == 1}


def test_words_are_pieces_that_begin_one_and_pieces_are_themselves(tmp_path: Path) -> None:
    words = vector_file(tmp_path / "words.txt", "the", ".", "dog", "e", "</s>")
    pieces = vector_file(tmp_path / "pieces.txt", "▁the", "dog", "e")
    of_words = {"▁the": 1.0, ".": 2.0, "▁dog": 3.0}
    assert first_numbers(tmp_path, "source", option=f"[{words}, {pieces}]") == of_words
    assert first_numbers(tmp_path, "target", option=f"[{words}, {pieces}]") == {"▁the": 1.0, "dog": 2.0, "e": 3.0}
    assert first_numbers(tmp_path, "target", option=f"[{words}, null]") == {}


def test_the_name_follows_the_content_of_the_vectors_and_stays_without_any(tmp_path: Path) -> None:
    vectors = vector_file(tmp_path / "vectors.txt", "the")
    moved = vector_file(tmp_path / "moved.txt", "the")
    other = vector_file(tmp_path / "other.txt", "the", "a")
    names = [
        small_trial(tmp_path, **{**WORDS, "data__task": "coreference"}, model__embeddings=option).name
        for option in (None, "null", vectors, moved, f"[{moved}, {vectors}]", other, f"[{vectors}, null]")
    ]
    plain, null, one, same, both, another, source = names
    assert plain == null and one == same == both
    assert len({plain, one, another, source}) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model.embeddings": "nowhere.txt"}, r"cannot read nowhere\.txt: No such file or directory"),
        ({"model.embeddings": "GOOD", "data.task": "copy"}, r"the tokens of copy are symbols; vectors are of words"),
        (
            {"model.embeddings": "GOOD", "model.embedding_size": 16},
            r"GOOD has vectors of 12 numbers, and an embedding of this GRU has 16; give --model\.embedding_size 12",
        ),
        (
            {"model.embeddings": "[null, GOOD]", "model": "Transformer", "model.hidden_size": 16},
            r"GOOD has vectors of 12 numbers, .* Transformer has 16; give --model\.hidden_size 12",
        ),
        ({"model.embeddings": "NONE"}, r"NONE has no word of the vocabulary, which has such as ▁\w+ ▁"),
        ({"model.embeddings": "[GOOD, NONE]"}, r"NONE has no word of the vocabulary"),
        ({"model.embeddings": "BROKEN"}, r"BROKEN:2 has 2 numbers behind the word, not 12"),
        (
            {"model.embeddings": "[null, GOOD]", "model": "EncoderOnly"},
            r"EncoderOnly has no target embeddings; give null for GOOD",
        ),
        ({"model.embeddings": "[GOOD]"}, r"\['GOOD'\] must be one file, or two, of source and target"),
    ],
)
def test_vectors_that_do_not_fit_are_refused_in_one_line(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    vector_file(Path("GOOD"), *TASKS["tagging"].words[:4])
    vector_file(Path("NONE"), "xylophone")
    Path("BROKEN").write_text("1 12\nthe 0.1 0.2\n")
    with pytest.raises(UsageError, match=rf"^(--)?model\.embeddings: {message}") as caught:
        small_trial(tmp_path, **{**WORDS, **options})
    assert "\n" not in str(caught.value)
