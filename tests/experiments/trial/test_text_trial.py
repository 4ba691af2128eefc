"""A trial on text from its files to its tables, and its checkpoint used elsewhere."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.statistics.comparisons import comparisons
from analysis.tables.trial_folders import load_runs
from data.batch import EOS
from experiments.config.trial import Trial, resolve_trial
from experiments.errors import UsageError
from experiments.evaluation.text import buckets_of
from experiments.evaluation.text_metrics import NO_BLEU, text_metrics
from experiments.evaluation.translator import Translator
from experiments.main import main
from experiments.trial.checkpoints import load_checkpoint
from experiments.trial.run import run_trial
from lit_models.decoding.decoder import Decoding
from lit_models.decoding.search import Hypotheses
from tests.helpers.text_files import write_corpus
from tests.helpers.trials import arguments, checkpoint_of, rows_of, run, run_until, small_trial, text_trial


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


def test_bleu_with_the_length_forced_is_that_of_outputs_as_long_as_their_references(trained: Trial) -> None:
    sentences = rows_of(trained.folder / "sentences.csv")
    sources, references = ([row[side] for row in sentences] for side in ("source", "reference"))
    checkpoint = load_checkpoint(Path(checkpoint_of(trained)))
    assert checkpoint.text is not None
    translator = Translator(checkpoint.model, checkpoint.text.tokenizers, checkpoint.text.lowercase)
    lengths = [len(row) for row in translator.encode(references, translator.target)]
    decoding = Decoding(**trained.config["decoding"])
    generator = decoding.generator(torch.device("cpu"))
    outputs = [best for best, *_ in translator.translate(sources, decoding, generator, forced_lengths=lengths)]
    assert [len(output.tokens) for output in outputs] == lengths
    assert not any(EOS in output.tokens for output in outputs)
    measured = {(row["bucket"], row["metric"]): float(row["value"]) for row in rows_of(trained.folder / "results.csv")}
    expected = text_metrics([output.text for output in outputs], references, False)["bleu"]
    assert measured["all", "forced_length_bleu"] == pytest.approx(expected)
    assert ("16+", "forced_length_bleu") in measured


def test_attention_is_kept_for_sentences_of_many_lengths(trained: Trial) -> None:
    content = json.loads((trained.folder / "attention.json").read_text())
    assert content["arch"] == "Bahdanau"
    assert len(content["sentences"]) == 8
    for sentence in content["sentences"]:
        weights = torch.tensor(sentence["attention"])
        assert weights.shape == (len(sentence["target"]), len(sentence["source"]))
        assert torch.allclose(weights.sum(dim=1), torch.ones(len(weights)), atol=0.01)


def test_buckets_hold_every_sentence_once() -> None:
    buckets = buckets_of([3, 10, 11, 25, 70], [10, 20, 60])
    assert buckets == [("all", 70, [0, 1, 2, 3, 4]), ("1-10", 10, [0, 1]), ("11-20", 20, [2]), ("21-60", 60, [3]),
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
    for task in ("decoding", "decoding again", "scoring"):
        assert f"{task} the test split, {sentences} of {sentences} sentences" in notes
    assert not (trial.folder / "attention.json").exists()
    assert json.loads((trial.folder / "summary.json").read_text())["attention"] is False


def test_scores_of_a_sample_of_the_test_split_are_kept_apart_from_those_of_the_whole(tmp_path: Path) -> None:
    whole, sample = (text_trial(tmp_path, trainer__max_steps=2, **one) for one in ({}, {"data__test_limit": 5}))
    assert whole.name != sample.name
    assert whole.name == text_trial(tmp_path, trainer__max_steps=2, data__test_limit="null").name
    run(whole)
    run(sample)
    rows = {row["line"]: row for row in rows_of(whole.folder / "sentences.csv")}
    sampled = rows_of(sample.folder / "sentences.csv")
    assert len(sampled) == 5 and all(row["source"] == rows[row["line"]]["source"] for row in sampled)
    settings = {comparison.setting.test_name for comparison in comparisons(load_runs([tmp_path / "runs"]))}
    assert settings == {"test", "test, 5 of 20 sentences"}


def test_the_vocabulary_is_that_of_the_pieces_that_a_small_corpus_gives(tmp_path: Path) -> None:
    trial = text_trial(tmp_path, data__vocabulary=8000, trainer__max_steps=2)
    run(trial)
    summary = json.loads((trial.folder / "summary.json").read_text())
    checkpoint = load_checkpoint(Path(checkpoint_of(trial)))
    assert checkpoint.text is not None
    assert summary["vocabulary"] == len(checkpoint.text.tokenizers[1]) < 1000


def test_where_bleu_is_undefined_results_have_none_and_the_verbs_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = {"data__task": "numbers", "data__length": 3, "data__vocabulary": 400, "data__test_examples": 5}
    trial = small_trial(tmp_path, **numbers, trainer__max_steps=2)
    assert main(["fit", *arguments(tmp_path, **numbers, trainer__max_steps=2)]) == 0
    rows = [row for row in rows_of(trial.folder / "results.csv") if row["bucket"] == "all"]
    scores = {row["metric"]: float(row["value"]) for row in rows}
    printed = capsys.readouterr().out
    assert "  ROUGE-L   chrF  exact match   BLEU\n" in printed and "bleu" not in scores
    assert "  5   {rougeL:.4f}  {chrf:5.2f}  {exact_match_text:11.4f}      -\n".format(**scores) in printed
    assert main(["test", "--checkpoint", checkpoint_of(trial)]) == 0
    assert (printed + capsys.readouterr().out).count(f"{NO_BLEU}\n") == 2


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
    line = f"data.train: 120 pairs; left out 5 empty ({', '.join(places[:3])}, …)\n"
    assert line in capsys.readouterr().err


# ---------------------------------------------------------------------- the checkpoint elsewhere


def test_the_verbs_for_checkpoints_read_text_with_the_tokenizer_of_the_checkpoint(
    trained: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = shutil.copy(checkpoint_of(trained), tmp_path)
    monkeypatch.setattr("data.text.cached_tokenizer", lambda *_: pytest.fail("a tokenizer was trained"))
    without_train = ["--checkpoint", str(moved), "--data.train.source=gone", "--data.train.target=gone"]
    assert main(["validate", *without_train]) == 0
    monkeypatch.setattr("lit_models.lit_module.greedy", lambda *_, **__: pytest.fail("decoded for nothing"))
    assert main(["test", *without_train]) == main(["predict", *without_train]) == 0
    out = capsys.readouterr().out
    results = {(row["bucket"], row["metric"]): row["value"] for row in rows_of(trained.folder / "results.csv")}
    assert f"{float(results['all', 'bleu']):.6f}" in out
    assert "source\ttarget\toutput\n" in out
    assert len([line for line in out.splitlines() if line.count("\t") == 2]) == 21


def test_long_texts_are_decoded_side_by_side(trained: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, sizes = load_checkpoint(Path(checkpoint_of(trained))), []
    assert checkpoint.text is not None

    def record(model: Any, source: torch.Tensor, *_: Any, **__: Any) -> Hypotheses:
        sizes.append(tuple(source.shape))
        return Hypotheses(torch.full((len(source), 1, 1), EOS), *torch.zeros(2, len(source), 1))

    monkeypatch.setattr("experiments.evaluation.translator.decode", record)
    translator = Translator(checkpoint.model, checkpoint.text.tokenizers, checkpoint.text.lowercase)
    decoding = Decoding(beam_size=5)
    translator.translate(["the red house sees " * 50] * 8, decoding, decoding.generator(torch.device("cpu")))
    assert sizes == [(8, 200)]


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
    by_bleu = {"early_stopping__monitor": "validation/bleu"}
    assert text_trial(tmp_path).config["early_stopping"]["stopping_threshold"] == 0.002
    assert text_trial(tmp_path, **by_bleu).config["early_stopping"]["stopping_threshold"] is None
    chosen = text_trial(tmp_path, **by_bleu, early_stopping__stopping_threshold=30)
    assert chosen.config["early_stopping"]["stopping_threshold"] == 30
