"""Trial folders become one tidy table; what is broken is named in one line."""

import json

import pytest

from analysis.errors import ReportError
from analysis.tables.evidence import gather
from analysis.tables.schema import KEPT_SENTENCES, TIDY
from analysis.tables.trial_folders import digest, load_runs
from analysis.tables.variants import tell_variants_apart
from tests.helpers.analysis_tables import (
    ARCHITECTURES,
    HEADER,
    TEXT,
    plausible_sentences,
    write_failure,
    write_sentences,
    write_sweep,
    write_text_trial,
    write_trial,
)


def test_tidy_table_joins_summary_and_results(tmp_path):
    rows = [(10, None, "loss", 0.25), (10, 3, "greedy_token_accuracy_by_position", 0.5)]
    folder = write_trial(tmp_path, "LSTM", 10, 7, rows)
    results = load_runs([tmp_path]).results
    assert list(results.columns) == TIDY.names
    assert results.astype(object).where(results.notna(), None).to_numpy().tolist() == [
        [folder.name, "LSTM", "reverse", 32, 10, 10, 7, 100_000, "cpu", None, "test", 10, "", None, "loss", 0.25],
        [folder.name, "LSTM", "reverse", 32, 10, 10, 7, 100_000, "cpu", None, "test", 10, "", 3,
         "greedy_token_accuracy_by_position", 0.5],
    ]  # fmt: skip


def test_trials_have_one_row_each_with_the_hidden_size(tmp_path):
    write_trial(tmp_path, seed=0)
    write_trial(tmp_path, seed=1, model={"layers": 2})
    trials = load_runs([tmp_path]).trials.set_index("seed")
    assert trials.loc[0, "hidden_size"] == 64
    assert trials["hidden_size"].isna().tolist() == [False, True]
    assert trials[["threads", "precision", "steps", "version"]].to_numpy().tolist()[0] == [1, "32-true", 500, "0.1.0"]


def test_positions_may_be_written_with_decimals(tmp_path):
    folder = write_trial(tmp_path)
    (folder / "results.csv").write_text(HEADER + "test,10,3.0,greedy_token_accuracy_by_position,0.5\n")
    assert load_runs([tmp_path]).results["position"].tolist() == [3]


def test_a_trial_counts_once_however_it_is_reached(tmp_path):
    folder = write_trial(tmp_path / "sweep")
    runs = load_runs([folder, tmp_path / "sweep", tmp_path])
    assert len(runs.trials) == 1
    assert len(runs.results) == 2


def test_the_same_trial_in_two_sweeps_counts_once(tmp_path):
    write_trial(tmp_path / "first")
    write_trial(tmp_path / "second")
    assert len(load_runs([tmp_path]).trials) == 1


def test_different_trials_of_one_name_are_refused(tmp_path):
    write_trial(tmp_path / "first", model={"hidden_size": 64})
    write_trial(tmp_path / "second", model={"hidden_size": 128})
    with pytest.raises(ReportError, match="differ in 'model'"):
        load_runs([tmp_path])


def test_checkpoints_figures_and_wandb_are_not_searched(tmp_path):
    write_trial(tmp_path, seed=0)
    for number, name in enumerate(("checkpoints", "figures", "wandb", ".hidden"), start=1):
        write_trial(tmp_path / name, seed=number)
    assert load_runs([tmp_path]).trials["seed"].tolist() == [0]


def test_failed_and_unfinished_trials_are_kept_apart(tmp_path):
    write_trial(tmp_path)
    failed = write_failure(tmp_path, step=None)
    running = tmp_path / "GRU-reverse-L40-s0-00000000"
    running.mkdir()
    (running / "config.yaml").write_text("seed_everything: 0\n")
    runs = load_runs([tmp_path])
    assert len(runs.trials) == 1
    assert runs.failures.to_dict("records") == [
        {
            "trial": failed.name, "status": "diverged", "reason": "the loss is not a number", "step": None,
            "arch": "VanillaRNN", "task": "reverse", "train_length": 80, "seed": 2,
        }
    ]  # fmt: skip
    assert runs.unfinished == [running]


def test_a_summary_that_is_not_complete_is_not_read(tmp_path):
    write_trial(tmp_path, seed=0)
    unfinished = write_trial(tmp_path, seed=1, status="running")
    runs = load_runs([tmp_path])
    assert runs.trials["seed"].tolist() == [0]
    assert runs.unfinished == [unfinished]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (HEADER + "test,10,,loss,0.2", "ends in the middle of a line"),
        (HEADER + "test,10,,lo\n", "line 2 has 4 fields"),
        (HEADER + "test,10,,loss,much\n", "line 2: value is not a number: 'much'"),
        (HEADER + "test,10,,loss,nan\n", "line 2: value is not a number: 'nan'"),
        (HEADER + "test,ten,,loss,0.2\n", "line 2: eval_length is not a whole number: 'ten'"),
        (HEADER + "test,10.5,,loss,0.2\n", "line 2: eval_length is not a whole number: '10.5'"),
        (HEADER + "test,10,,loss,0.2\ntest,10,,loss,0.3\n", "states loss at length 10 twice"),
        ("split,eval_length,metric,value\ntest,10,loss,0.2\n", "has no column 'position'"),
        (HEADER, "has no rows"),
        ("", "is empty"),
        (None, "is missing though the trial is complete"),
    ],
)
def test_broken_results_are_named_in_one_line(tmp_path, content, problem):
    folder = write_trial(tmp_path)
    (folder / "results.csv").unlink()
    if content is not None:
        (folder / "results.csv").write_text(content)
    with pytest.raises(ReportError) as error:
        load_runs([tmp_path])
    assert problem in str(error.value)
    assert str(folder / "results.csv") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"status": "comp', "is no valid JSON"),
        ("[]", "is not a JSON object"),
        (json.dumps({"status": "complete"}), "has no 'arch'"),
    ],
)
def test_broken_summary_is_named_in_one_line(tmp_path, content, problem):
    folder = write_trial(tmp_path)
    (folder / "summary.json").write_text(content)
    with pytest.raises(ReportError) as error:
        load_runs([tmp_path])
    assert problem in str(error.value) and str(folder / "summary.json") in str(error.value)


def test_a_number_in_words_is_named(tmp_path):
    write_trial(tmp_path, num_params="many")
    with pytest.raises(ReportError, match="'num_params' is 'many', not a whole number"):
        load_runs([tmp_path])


def test_paths_that_hold_nothing_are_named(tmp_path):
    with pytest.raises(ReportError, match="does not exist"):
        load_runs([tmp_path / "nowhere"])
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="is not a folder"):
        load_runs([tmp_path / "file"])
    write_failure(tmp_path)
    with pytest.raises(ReportError, match=r"no complete trial .*1 failed.*diverged: the loss is not a number"):
        gather([str(tmp_path)])


def test_every_architecture_of_a_sweep_is_found(tmp_path):
    write_sweep(tmp_path, lengths=(4,), seeds=(0,))
    assert set(load_runs([tmp_path]).results["arch"]) == set(ARCHITECTURES)


def test_two_configurations_of_one_architecture_are_told_apart(tmp_path):
    for width, suffix in ((64, "aaaa"), (128, "bbbb")):
        write_trial(tmp_path, "GRU", model={"hidden_size": width, "layers": 1}, suffix=suffix)
    write_trial(tmp_path, "LSTM")
    runs = tell_variants_apart(load_runs([tmp_path]))
    assert set(runs.results["arch"]) == {"GRU [hidden_size=64]", "GRU [hidden_size=128]", "LSTM"}


def test_two_trials_that_nothing_tells_apart_are_refused(tmp_path):
    write_trial(tmp_path, suffix="aaaa", steps=100)
    write_trial(tmp_path, suffix="bbbb", steps=200)
    with pytest.raises(ReportError, match=r"aaaa and .*bbbb are the same"):
        tell_variants_apart(load_runs([tmp_path]))


def test_text_has_buckets_and_synthetic_tasks_have_none(tmp_path):
    text = write_text_trial(tmp_path)
    write_trial(tmp_path)
    results = load_runs([tmp_path]).results
    of_text = results["trial"] == text.name
    assert set(results[of_text]["bucket"]) == {"all", "1-10", "11-20", "21-30", "31-40", "41-50", "51+"}
    assert set(results[~of_text]["bucket"]) == {""}


def test_what_a_summary_says_about_text_is_kept_and_missing_for_synthetic_tasks(tmp_path):
    text = write_text_trial(tmp_path)
    other = write_trial(tmp_path)
    trials = load_runs([tmp_path]).trials.set_index("trial")
    for key in ("decoding", "signatures", "source_language", "target_language", "test_name"):
        assert trials.loc[text.name, key] == {"attention": True, **TEXT}[key]
        assert trials[key].isna()[other.name]


def test_the_vocabulary_of_text_is_the_pieces_that_were_made(tmp_path):
    folder = write_text_trial(tmp_path, vocabulary=8000, model={"hidden_size": 64, "target_vocab_size": 314})
    runs = load_runs([tmp_path])
    assert folder.name == runs.trials["trial"].item() and runs.trials["vocabulary"].item() == 314
    assert set(runs.results["vocabulary"]) == {314}


def test_sentences_are_read_with_their_counts(tmp_path):
    sentences = plausible_sentences("GRU", 30, 0, count=30)
    folder = write_text_trial(tmp_path, sentences=sentences)
    table = load_runs([tmp_path]).sentences
    assert list(table.columns) == KEPT_SENTENCES.names
    assert set(table["trial"]) == {folder.name}
    assert table.drop(columns="trial").to_dict("records") == [
        {column: sentence[column] for column in KEPT_SENTENCES.names[1:]} | {"reference": digest(sentence["reference"])}
        for sentence in sentences
    ]


def test_a_sentence_may_hold_any_text(tmp_path):
    strange = 'He said: "no, never",\nor\u2028so'
    sentences = plausible_sentences("GRU", 30, 0, count=30)
    sentences[3] |= {"reference": strange, "source": "NA", "output": ""}
    write_text_trial(tmp_path, sentences=sentences)
    assert load_runs([tmp_path]).sentences["reference"][3] == digest(strange)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bleu_total_2": "many"}, "line 3: bleu_total_2 is not a whole number: 'many'"),
        ({"source_length": 3.5}, "line 3: source_length is not a whole number: '3.5'"),
        ({"bleu_correct_1": -1}, "line 3: bleu_correct_1 is below 0: '-1'"),
    ],
)
def test_broken_sentences_are_named_in_one_line(tmp_path, change, problem):
    sentences = plausible_sentences("GRU", 30, 0, count=30)
    folder = write_text_trial(tmp_path, sentences=sentences)
    sentences[1] |= change
    write_sentences(folder, sentences)
    with pytest.raises(ReportError) as error:
        load_runs([tmp_path])
    assert problem in str(error.value) and str(folder / "sentences.csv") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_trial_on_text_without_its_sentences_is_refused(tmp_path):
    (write_text_trial(tmp_path) / "sentences.csv").unlink()
    with pytest.raises(ReportError, match=r"sentences\.csv: is missing"):
        load_runs([tmp_path])


@pytest.mark.parametrize("bucket", ["10", "short", "10-", "+"])
def test_a_bucket_that_is_none_is_named(tmp_path, bucket):
    folder = write_text_trial(tmp_path)
    (folder / "results.csv").write_text(HEADER.replace("position", "bucket,position") + f"test,10,{bucket},,bleu,1\n")
    with pytest.raises(ReportError, match=r"results\.csv: line 2: bucket is neither"):
        load_runs([tmp_path])


def test_summary_and_results_agree_on_being_text(tmp_path):
    folder = write_text_trial(tmp_path / "no bucket")
    (folder / "results.csv").write_text(HEADER + "test,10,,loss,0.5\n")
    with pytest.raises(ReportError, match="has no bucket though the trial is one on text"):
        load_runs([tmp_path / "no bucket"])
    folder = write_trial(tmp_path / "no test name")
    (folder / "results.csv").write_text(HEADER.replace("position", "bucket,position") + "test,10,all,,bleu,1\n")
    with pytest.raises(ReportError, match=r"has no 'test_name' though results\.csv has buckets"):
        load_runs([tmp_path / "no test name"])


@pytest.mark.parametrize(("key", "value"), [("signatures", "nrefs:1"), ("test_name", None), ("decoding", 5)])
def test_a_summary_of_text_says_what_it_should(tmp_path, key, value):
    write_text_trial(tmp_path, **{key: value})
    with pytest.raises(ReportError, match=f"'{key}' is "):
        load_runs([tmp_path])


def test_one_model_on_two_test_sets_is_two_trials(tmp_path):
    write_text_trial(tmp_path, suffix="aaaa")
    write_text_trial(tmp_path, suffix="bbbb", test_name="flickr2017")
    assert set(tell_variants_apart(load_runs([tmp_path])).trials["arch"]) == {"GRU"}


def test_two_ways_of_decoding_are_told_apart(tmp_path):
    write_text_trial(tmp_path, suffix="aaaa")
    write_text_trial(tmp_path, suffix="bbbb", decoding="greedy")
    names = set(tell_variants_apart(load_runs([tmp_path])).trials["arch"])
    assert names == {"GRU [decoding=beam 5, length penalty 1.0]", "GRU [decoding=greedy]"}
