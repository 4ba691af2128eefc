"""A trial on text from its files to its tables, and its checkpoint used elsewhere."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from data.tokenizer import Tokenizer
from experiments.config.trial import Trial, resolve_trial
from experiments.errors import UsageError
from experiments.evaluation.text import buckets_of
from experiments.evaluation.text_metrics import text_metrics
from experiments.main import main
from experiments.trial.checkpoints import load_checkpoint
from experiments.trial.run import run_trial
from tests.helpers.text_files import write_corpus
from tests.helpers.trials import run, run_until, small_trial, text_trial


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A small attention model that has learned the toy language somewhat."""
    folder = tmp_path_factory.mktemp("trained")
    trial = text_trial(
        folder,
        model="Bahdanau",
        model__hidden_size=32,
        model__bidirectional="true",
        model__learning_rate=0.02,
        trainer__max_steps=200,
        trainer__val_check_interval=50,
        checkpoint__monitor="validation/bleu",
        checkpoint__mode="max",
    )
    run(trial)
    return trial


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_trial_on_text_leaves_its_sentences_and_attention(trained: Trial) -> None:
    names = {path.name for path in trained.folder.iterdir()}
    assert {"results.csv", "summary.json", "sentences.csv", "attention.json", "corpus.json"} <= names
    summary = json.loads((trained.folder / "summary.json").read_text())
    assert summary["task"] == "text" and summary["test_name"] == "test" and summary["train_length"] == 60
    assert summary["decoding"] == "beam 2, length penalty 1" and summary["attention"] is True
    assert "case:mixed" in summary["signatures"]["bleu"]
    sentences = rows_of(trained.folder / "sentences.csv")
    references = (trained.folder.parent.parent / "corpus" / "test.fr").read_text().splitlines()
    assert [row["reference"] for row in sentences] == references
    assert [row["line"] for row in sentences] == [str(n) for n in range(1, 21)]


def test_the_table_of_results_is_that_of_the_sentences(trained: Trial) -> None:
    results = {(row["bucket"], row["metric"]): float(row["value"]) for row in rows_of(trained.folder / "results.csv")}
    sentences = rows_of(trained.folder / "sentences.csv")
    buckets = {bucket for bucket, _ in results}
    assert buckets == {"all", "1-10", "11-15", "16+"}
    for bucket in buckets:
        low, high = {"all": (1, 999), "1-10": (1, 10), "11-15": (11, 15), "16+": (16, 999)}[bucket]
        inside = [row for row in sentences if low <= int(row["source_length"]) <= high]
        assert results[bucket, "sentences"] == len(inside)
        expected = text_metrics([row["output"] for row in inside], [row["reference"] for row in inside], False)
        assert {name: results[bucket, name] for name in expected} == pytest.approx(expected)
    assert results["all", "bleu"] > 20  # it has learned something
    assert {"loss", "perplexity", "token_accuracy"} <= {metric for bucket, metric in results if bucket == "all"}


def test_validation_is_in_bleu_and_chooses_the_checkpoint(trained: Trial) -> None:
    curve = {
        int(row["step"]): float(row["value"])
        for row in rows_of(trained.folder / "history.csv")
        if row["split"] == "validation" and row["metric"] == "bleu"
    }
    assert sorted(curve) == [50, 100, 150, 200]
    best = torch.load(trained.folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert curve[best["global_step"]] == max(curve.values())


def test_attention_is_kept_for_sentences_of_many_lengths(trained: Trial) -> None:
    content = json.loads((trained.folder / "attention.json").read_text())
    assert content["arch"] == "Bahdanau"
    assert len(content["sentences"]) == 8
    for sentence in content["sentences"]:
        weights = torch.tensor(sentence["attention"])
        assert weights.shape == (len(sentence["target"]), len(sentence["source"]))
        assert torch.allclose(weights.sum(dim=1), torch.ones(len(weights)), atol=0.01)


def test_buckets_hold_every_sentence_once() -> None:
    found = buckets_of([3, 10, 11, 25, 70], [10, 20, 60])
    assert found == [("all", 70, [0, 1, 2, 3, 4]), ("1-10", 10, [0, 1]), ("11-20", 20, [2]), ("21-60", 60, [3]),
                     ("61+", 70, [4])]  # fmt: skip
    assert buckets_of([3, 60], [10, 60])[1:] == [("1-10", 10, [0]), ("11-60", 60, [1])]


def test_a_trial_on_text_continues_where_it_was_stopped(tmp_path: Path) -> None:
    whole, cut = text_trial(tmp_path / "a"), text_trial(tmp_path / "b")
    assert whole.name == cut.name
    run(whole)
    run_until(cut, 25)
    run(cut)
    for name in ("results.csv", "sentences.csv"):
        assert (whole.folder / name).read_bytes() == (cut.folder / name).read_bytes()


def test_a_model_without_attention_keeps_none_and_evaluation_says_how_far_it_is(tmp_path: Path) -> None:
    trial = text_trial(tmp_path, trainer__max_steps=2)
    notes = []
    run_trial(trial, trial.folder, lambda share, note: notes.append(note))
    sentences = len(rows_of(trial.folder / "sentences.csv"))
    for task in ("decoding", "scoring"):
        assert f"{task} the test split, {sentences} of {sentences} sentences" in notes
    assert not (trial.folder / "attention.json").exists()
    assert json.loads((trial.folder / "summary.json").read_text())["attention"] is False


def test_all_bad_lines_are_kept_by_file_and_line_and_the_first_few_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "holes")
    source, target = tmp_path / "holes" / "train.en", tmp_path / "holes" / "train.fr"
    for path in (source, target):
        path.write_text(path.read_text() + "\n" * 5)
    files = {"data__train__source": source, "data__train__target": target}
    trial = text_trial(tmp_path, **files, data__bad_lines="drop", trainer__max_steps=2)
    run(trial)
    places = [f"{source}:{line}" for line in range(121, 126)]
    kept = json.loads((trial.folder / "corpus.json").read_text())
    assert kept["train"]["dropped"] == {"empty": 5}
    assert kept["train"]["dropped_lines"] == {"empty": places}
    said = f"data.train: 120 pairs; left out 5 empty ({', '.join(places[:3])}, …)\n"
    assert said in capsys.readouterr().err


# ---------------------------------------------------------------------- the checkpoint elsewhere


def checkpoint_of(trial: Trial) -> str:
    return str(trial.folder / "checkpoints" / "best.ckpt")


def translate(*options: str) -> int:
    return main(["translate", *options])


def test_translating_the_test_split_gives_the_outputs_of_the_trial(
    trained: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "elsewhere.ckpt"
    moved.write_bytes(Path(checkpoint_of(trained)).read_bytes())
    monkeypatch.chdir(tmp_path)
    sentences = rows_of(trained.folder / "sentences.csv")
    (tmp_path / "in").write_text("".join(row["source"] + "\n" for row in sentences))
    assert translate("--checkpoint", str(moved), "--input", "in", "--output", "out", "--beam_size", "2") == 0
    assert (tmp_path / "out").read_text().splitlines() == [row["output"] for row in sentences]


def test_text_comes_from_the_command_line_or_standard_input(
    trained: Trial, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "The old man sees the red house."
    translate("--checkpoint", checkpoint_of(trained), text)
    spoken = capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{text}\n\n{text}\n".encode())))
    translate("--checkpoint", checkpoint_of(trained))
    piped = capsys.readouterr()
    assert spoken.out.strip()
    assert piped.out == f"{spoken.out}\n{spoken.out}"  # an empty line stays one
    assert spoken.err == piped.err == ""


def test_n_best_outputs_come_with_falling_scores(trained: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    translate("--checkpoint", checkpoint_of(trained), "--n_best", "3", "The big dog.", "The good book.")
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [number for number, _, _ in lines] == ["1"] * 3 + ["2"] * 3
    for number in ("1", "2"):
        scores = [float(score) for each, score, _ in lines if each == number]
        assert scores == sorted(scores, reverse=True) and scores[0] <= 0


@pytest.mark.parametrize("method", ["beam", "greedy", "sample", "mbr"])
def test_every_method_is_there_and_repeats_itself(
    trained: Trial, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for _ in range(2):
        translate("--checkpoint", checkpoint_of(trained), "--method", method, "--samples", "5", "The big dog likes.")
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != ""


def test_samples_come_best_first_and_outputs_of_minimum_bayes_risk_once(
    trained: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    for method, options in (("sample", ["--temperature", "2"]), ("mbr", ["--temperature", "0.7", "--samples", "9"])):
        translate("--checkpoint", checkpoint_of(trained), "--method", method, *options, "--n_best", "9", "The big dog.")
        lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        scores = [float(score) for _, score, _ in lines]
        assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1] > float("-inf")
        if method == "mbr":
            assert 1 < len({text for _, _, text in lines}) == len(lines) < 9


def test_the_same_text_is_sampled_anew_each_time(
    trained: Trial, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("experiments.verbs.translate.CHUNK", 1)
    options = ["--method", "sample", "--temperature", "3", "The big dog.", "The big dog."]
    translate("--checkpoint", checkpoint_of(trained), *options)
    first, second = capsys.readouterr().out.splitlines()
    assert first != second


def test_output_is_utf_8_whatever_the_locale(trained: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(Tokenizer, "decode", lambda self, tokens: "grün ☃")
    assert translate("--checkpoint", checkpoint_of(trained), "The big dog.") == 0
    assert written.getvalue().decode("utf-8") == "grün ☃\n"


def test_scores_against_a_reference_go_to_standard_error(
    trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentences = rows_of(trained.folder / "sentences.csv")
    (tmp_path / "in").write_text("".join(row["source"] + "\n" for row in sentences))
    (tmp_path / "ref").write_text("".join(row["reference"] + "\n" for row in sentences))
    options = ["--input", str(tmp_path / "in"), "--reference", str(tmp_path / "ref"), "--beam_size", "2"]
    translate("--checkpoint", checkpoint_of(trained), *options)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 20
    [bleu] = re.findall(r"^bleu +([\d.]+) +nrefs:1\|case:mixed", captured.err, re.M)
    results = {(row["bucket"], row["metric"]): row["value"] for row in rows_of(trained.folder / "results.csv")}
    assert float(bleu) == pytest.approx(float(results["all", "bleu"]), abs=1e-4)


def test_attention_is_drawn_for_each_text(trained: Trial, tmp_path: Path) -> None:
    picture = tmp_path / "attention.png"
    translate("--checkpoint", checkpoint_of(trained), "--attention", str(picture), "The big dog.")
    assert picture.read_bytes().startswith(b"\x89PNG")
    translate("--checkpoint", checkpoint_of(trained), "--attention", str(picture), "The big dog.", "The tree.")
    assert {path.name for path in tmp_path.iterdir()} == {"attention.png", "attention-1.png", "attention-2.png"}


def test_a_picture_has_a_number_also_where_its_text_is_translated_alone_behind_others(
    trained: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.verbs.translate.CHUNK", 2)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"The big dog.\n\nThe tree.\n")))
    translate("--checkpoint", checkpoint_of(trained), "--attention", str(tmp_path / "map.png"))
    assert {path.name for path in tmp_path.iterdir()} == {"map-1.png", "map-3.png"}


def test_a_pipe_that_closes_early_ends_quietly(trained: Trial, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("The big dog.\n" * 3000)
    command = (
        f"{sys.executable} -m experiments.main translate --checkpoint {checkpoint_of(trained)} --threads 1 "
        f"--method greedy --input {tmp_path / 'in'} | head -n 1"
    )
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env={**os.environ, "WANDB_MODE": "disabled"}
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def merge(content: dict[str, Any], changes: dict[str, Any]) -> None:
    """Change nested values in place."""
    for key, value in changes.items():
        if isinstance(value, dict):
            merge(content[key], value)
        else:
            content[key] = value


def bad_checkpoints(tmp_path: Path, trained: Trial) -> dict[str, tuple[Path, str]]:
    whole = Path(checkpoint_of(trained)).read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    torch.save({"model": Path("x")}, tmp_path / "code.ckpt")
    content = torch.load(checkpoint_of(trained), weights_only=True)
    content["lengthwise"]["model"] = "Unheard"
    torch.save(content, tmp_path / "unknown.ckpt")
    damaged = {
        "width": {"lengthwise": {"options": {"hidden_size": -1}}},
        "memory": {"lengthwise": {"options": {"hidden_size": 2**40}}},
        "tokenizer": {"lengthwise": {"text": {"source_tokenizer": torch.zeros(3)}}},
        "step": {"global_step": [7]},
        "infinite": {"global_step": float("inf")},
        "names": {"state_dict": {3: 3}},
    }
    for name, changes in damaged.items():
        content = torch.load(checkpoint_of(trained), weights_only=True)
        merge(content, changes)
        torch.save(content, tmp_path / f"{name}.ckpt")
    return {
        **{name: (tmp_path / f"{name}.ckpt", "is damaged or was written by another version: ") for name in damaged},
        "names": (tmp_path / "names.ckpt", "does not fit Bahdanau with these options"),
        "missing": (tmp_path / "missing.ckpt", "does not exist"),
        "cut": (tmp_path / "cut.ckpt", "is not a readable checkpoint"),
        "code": (tmp_path / "code.ckpt", "is not a readable checkpoint"),
        "foreign": (tmp_path / "foreign.ckpt", "is not a checkpoint of this suite"),
        "unknown": (tmp_path / "unknown.ckpt", "is of the model Unheard, which is not known here"),
    }


def test_a_foreign_or_corrupt_checkpoint_is_refused_in_one_line(
    trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, message in bad_checkpoints(tmp_path, trained).values():
        assert translate("--checkpoint", str(path), "text") == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and str(path) in error and message in error


def test_a_model_of_symbols_does_not_translate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = small_trial(tmp_path, trainer__max_steps=2)
    run(trial)
    assert translate("--checkpoint", checkpoint_of(trial), "text") == 2
    assert "was trained on reverse, which is no text" in capsys.readouterr().err
    assert load_checkpoint(Path(checkpoint_of(trial))).text is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "missing"], "--input: cannot read missing: No such file"),
        (["--n_best", "0", "x"], "--n_best: 0 must lie between 1 and 10000"),
        (["--n_best", "2", "--method", "greedy", "x"], "--n_best: greedy has one output"),
        (["--temperature", "0", "x"], "--temperature: 0.0 must be above 0"),
        (["--top_p", "1.5", "x"], "--top_p: 1.5 must lie in (0, 1]"),
        (["--method", "best", "x"], "--method: invalid choice: 'best'"),
        (["--attention", "figure.txt", "x"], "--attention: "),
        (["--device", "tpu", "x"], "--device: tpu is not here"),
    ],
)
def test_bad_options_are_named_in_one_line(
    trained: Trial, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert translate("--checkpoint", checkpoint_of(trained), *options) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_text_that_is_not_utf_8_is_named_by_line(
    trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_bytes(b"fine\n\xff\n")
    output = tmp_path / "out"
    options = ["--input", str(tmp_path / "in"), "--output", str(output)]
    assert translate("--checkpoint", checkpoint_of(trained), *options) == 2
    assert f"{tmp_path / 'in'}:2 is not UTF-8" in capsys.readouterr().err
    assert not output.exists() and not list(tmp_path.glob("*.partial"))


def test_alignments_are_scored_against_gold_links(
    trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = trained.folder.parent.parent / "corpus"
    files = ["--source", str(corpus / "test.en"), "--target", str(corpus / "test.fr")]
    assert main(["align", "--checkpoint", checkpoint_of(trained), *files]) == 0
    links = capsys.readouterr().out
    targets = (corpus / "test.fr").read_text().splitlines()
    for line, target in zip(links.splitlines(), targets, strict=True):
        assert sorted(int(link.split("-")[1]) for link in line.split()) == list(range(len(target.split())))
    (tmp_path / "gold").write_text(links)
    gold = ["--gold", str(tmp_path / "gold")]
    assert main(["align", "--checkpoint", checkpoint_of(trained), *files, *gold]) == 0
    assert capsys.readouterr().out.startswith("alignment error rate 0.0000  precision 1.0000  recall 1.0000")
    (tmp_path / "gold").write_text("0-0\n")
    assert main(["align", "--checkpoint", checkpoint_of(trained), *files, *gold]) == 2
    assert "has 1 lines for 20 pairs" in capsys.readouterr().err


def test_bad_text_to_align_is_named_by_the_options_there_are(
    trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("The big dog.\n\n")
    target.write_text("Le chien grand.\nLe chien.\n")
    for files, message in (
        (["--source", "missing"], "--source: missing does not exist or is no file"),
        (["--source", str(source), "--target", "missing"], "--target: missing does not exist or is no file"),
        (["--source", str(source), "--target", str(target)], f"--source: bad lines: 1 empty ({source}:2); mend them"),
    ):
        assert main(["align", "--checkpoint", checkpoint_of(trained), *files]) == 2
        assert capsys.readouterr().err == f"lengthwise align: error: {message}\n"


def test_the_verbs_for_checkpoints_know_text(trained: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("validate", "test", "predict"):
        assert main([verb, "--checkpoint", checkpoint_of(trained)]) == 0
    out = capsys.readouterr().out
    results = {(row["bucket"], row["metric"]): row["value"] for row in rows_of(trained.folder / "results.csv")}
    assert f"{float(results['all', 'bleu']):.6f}" in out
    assert "source\ttarget\toutput\n" in out
    assert len([line for line in out.splitlines() if line.count("\t") == 2]) == 21


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__train__target": "missing"}, "data.train.target: missing does not exist"),
        ({"data__test__source": None, "data__test__target": None}, "data.test"),
        ({"decoding__beam_size": 0}, "decoding.beam_size: 0 must be at least 1"),
        ({"data__vocabulary": 5}, "data.vocabulary: 5 pieces cannot be trained"),
    ],
)
def test_bad_options_of_a_trial_are_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        text_trial(tmp_path, **changes)
    assert not (tmp_path / "runs").exists()


def test_arguments_of_text_survive_their_own_configuration(trained: Trial) -> None:
    again = resolve_trial([f"--config={trained.folder / 'config.yaml'}", f"--runs={trained.folder.parent}"])
    assert again.name == trained.name


def test_a_threshold_meant_for_the_loss_does_not_stop_by_bleu(tmp_path: Path) -> None:
    by_bleu = {"early_stopping__monitor": "validation/bleu", "early_stopping__mode": "max"}
    assert text_trial(tmp_path).config["early_stopping"]["stopping_threshold"] == 0.002
    assert text_trial(tmp_path, **by_bleu).config["early_stopping"]["stopping_threshold"] is None
    chosen = text_trial(tmp_path, **by_bleu, early_stopping__stopping_threshold=30)
    assert chosen.config["early_stopping"]["stopping_threshold"] == 30
