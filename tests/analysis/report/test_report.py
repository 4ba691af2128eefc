"""The report says what was measured, how surely, and what was left out."""

from itertools import pairwise

import pytest

from analysis.report.command import main
from analysis.report.render import markdown
from analysis.report.sections.models import matching, models
from analysis.tables.schema import TIDY
from analysis.tables.trial_folders import load_runs
from tests.helpers.analysis_tables import (
    plausible_rows,
    plausible_sentences,
    write_failure,
    write_results,
    write_sweep,
    write_text_trial,
    write_trial,
)
from tests.helpers.gradient_tables import seven_architectures, written
from tests.helpers.report_folders import write_parallelism

# But for the report that the tests below share, and for the one that is compared with it.
pytestmark = pytest.mark.usefixtures("undrawn")
LENGTHS = (4, 40)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Four architectures, one of them new, with a failed and an unfinished trial."""
    folder = tmp_path_factory.mktemp("runs") / "my sweep"
    write_sweep(folder, ("LSTM", "Bahdanau", "Transformer", "Newcomer"), LENGTHS)
    write_failure(folder, "LSTM", 40, 3, reason="the loss is | not a number")
    running = folder / "GRU-reverse-L40-s0-00000000"
    running.mkdir()
    (running / "config.yaml").touch()
    return folder


@pytest.fixture(scope="module")
def report(sweep):
    assert main([str(sweep)]) == 0
    return (sweep / "report.md").read_text()


def row_of(report, name):
    """The cells of the first table row of an architecture."""
    line = next(line for line in report.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_measured_table_gives_mean_interval_seeds_and_verdict(report, sweep):
    values = load_runs([sweep]).results.query(
        "metric == 'greedy_token_accuracy' and arch == 'LSTM' and train_length == 40 and eval_length == 40"
    )["value"]
    cells = row_of(report, "LSTM")
    assert cells[1].startswith(f"{values.mean():.3f} [")
    assert cells[3] == "3 (1 diverged)"
    assert cells[5] == "degrades"
    assert row_of(report, "Bahdanau attention")[5] == "does not degrade"


def test_verdicts_are_summed_up_in_words(report):
    assert (
        "Between lengths 4 and 40: degrades: LSTM; does not degrade: Bahdanau attention, Transformer, Newcomer."
        in report
    )


def test_failed_and_unfinished_trials_are_listed_with_their_reason(report):
    assert r"| LSTM-reverse-L40-s3-0badf00d | diverged | 120 | the loss is \| not a number |" in report
    assert "Unfinished (still running or interrupted): GRU-reverse-L40-s0-00000000" in report
    assert "24 complete, 1 failed or diverged, 1 unfinished" in report


def test_no_mean_is_shown_without_the_trials_that_are_not_in_it(report, sweep, tmp_path, capsys):
    lost = "In no mean: LSTM at length 40: 1 diverged."
    captions = [line for line in report.splitlines() if "**How it was measured.**" in line]
    assert captions and all(lost in caption for caption in captions)
    assert f"**{lost}**" in report
    main([str(sweep), "--output", str(tmp_path)])
    assert f"\n{lost}\n" in capsys.readouterr().out


def test_an_architecture_of_which_every_trial_was_lost_is_still_named(tmp_path, capsys):
    write_sweep(tmp_path, ("LSTM",), LENGTHS)
    for seed, status in ((0, "diverged"), (1, "diverged"), (2, "failed")):
        write_failure(tmp_path, "Transformer", 40, seed, status=status)
    assert main([str(tmp_path)]) == 0
    lost = "In no mean: Transformer at length 40: 2 diverged, Transformer at length 40: 1 failed."
    assert lost in capsys.readouterr().out
    assert lost in (tmp_path / "report.md").read_text()


def test_figures_of_gradients_name_the_trials_whose_gradients_end_early_and_no_others(tmp_path):
    written(seven_architectures(), tmp_path / "gradients")
    write_trial(tmp_path)
    write_failure(tmp_path, "LSTM", 30, 1, task="first-token-recall")
    write_failure(tmp_path, "GRU", 40, 1, task="reverse")
    assert main([str(tmp_path), "--output", str(tmp_path)]) == 0
    captions = {
        before.rpartition("(figures/")[2].removesuffix(".png)\n\n"): caption.partition("\n")[0]
        for before, caption in pairwise((tmp_path / "report.md").read_text().split("**What to see.**"))
    }
    ended = "In these means only until they ended: LSTM at length 30: 1 diverged. See *Trials left out*."
    for name in ("gradient_norm", "gradient_heatmap", "jacobian", "training_norms"):
        assert captions[name].endswith(ended)
    assert "GRU at length 40: 1 diverged" in captions["accuracy"]


def test_gradients_at_initialisation_lack_no_trial(tmp_path):
    table = seven_architectures()
    written(table[table["phase"] == "initial"], tmp_path / "gradients")
    write_failure(tmp_path, "LSTM", 30, 1, task="first-token-recall")
    assert main([str(tmp_path)]) == 0
    assert "gradient_norm.png" in (report := (tmp_path / "report.md").read_text())
    assert "In these means" not in report


def test_an_option_given_two_dashes_is_one_line(tmp_path, capsys):
    write_trial(tmp_path)
    assert main([str(tmp_path), "--output=--"]) == 2
    assert capsys.readouterr().err == "lengthwise report: error: --output: -- is no value for it\n"
    assert not (tmp_path / "report.md").exists()


def test_every_link_leads_to_a_file(report, sweep):
    links = [part.split(")")[0] for part in report.split("](")[1:]]
    assert "figures/accuracy.png" in links and "results.csv" in links
    assert all((sweep / link).is_file() for link in links)


def test_command_can_be_pasted(report, sweep):
    assert f"```\nlengthwise report '{sweep}'\n```" in report


def test_tidy_table_is_written_and_not_taken_for_a_trial(report, sweep):
    lines = (sweep / "results.csv").read_text().splitlines()
    assert lines[0] == (
        "trial,arch,task,vocabulary,train_length,min_train_length,seed,num_params,device,ended,split,eval_length,"
        "bucket,position,metric,value"
    )
    assert len(lines) == 1 + len(load_runs([sweep]).results)


def test_the_same_runs_give_the_same_report(report, sweep):
    assert main([str(sweep)]) == 0
    assert (sweep / "report.md").read_text() == report


def test_alignment_is_reported_only_for_models_that_attend(report):
    section = report.split("## Alignment accuracy")[1].split("##")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[0] for row in rows] == ["| ---", "| Bahdanau attention", "| Transformer"]


def test_overview_goes_to_the_terminal(sweep, tmp_path, capsys):
    assert main([str(sweep), "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "length" in out and "Bahdanau attention  1.000  1.000" in out
    assert "\nFixed-context bottleneck: holds\n" in out
    assert out.endswith(
        f"report: {tmp_path / 'report.html'}, {tmp_path / 'report.md'}\n"
        f"Fixed-context bottleneck: {tmp_path / 'figures/accuracy.png'}\n"
    )


@pytest.mark.parametrize(
    ("sizes", "widths", "statement"),
    [
        ((100, 110), (64, 32), "parameter counts matched within 10% (largest/smallest = 1.10)"),
        ((100, 111), (64, 32), "NOT matched: largest/smallest parameter count = 1.11"),
        ((100, 400), (64, 64), "matched hidden size (64), parameter counts NOT matched: largest/smallest = 4.00"),
    ],
)
def test_matching_of_sizes_is_stated(tmp_path, sizes, widths, statement):
    for arch, size, width in zip(("GRU", "LSTM"), sizes, widths, strict=True):
        write_trial(tmp_path, arch, num_params=size, model={"hidden_size": width})
    assert matching(load_runs([tmp_path]).trials) == statement
    assert main([str(tmp_path)]) == 0
    assert statement in (tmp_path / "report.md").read_text()


def test_options_in_which_trials_of_an_architecture_differ_are_named_with_all_values(tmp_path):
    for number, cell in enumerate(("lstm", "gru", "gru")):
        write_trial(tmp_path, "LuongGlobal", seed=number, model={"hidden_size": 64, "cell": cell, "dropout": 0.1})
    write_trial(tmp_path, "GRU", model={"hidden_size": 64, "dropout": 0.1})
    text = markdown.document(models(load_runs([tmp_path])))
    assert '- Luong global: `cell="gru" or "lstm"`' in text and "`dropout=0.1`" in text


def test_a_report_of_recall_alone_says_that_it_is_no_test_of_the_bottleneck(tmp_path):
    for length in (10, 20):
        write_trial(tmp_path, length=length, task="first-token-recall")
    assert main([str(tmp_path)]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "No trial of a task that tests it was found" in report and "## Accuracy and length" in report
    assert "not the bottleneck" in report and "removes the limit. Cho et al." not in report


def test_one_seed_makes_a_smaller_report_without_a_verdict(tmp_path):
    for length in (10, 20):
        write_trial(tmp_path, length=length)
    assert main([str(tmp_path)]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "One seed only" in report and "No bits recovered" in report
    assert row_of(report, "GRU")[1] == "0.900 (no interval)"
    assert row_of(report, "GRU")[5] == "cannot be told from these runs: one seed"


def test_missing_measurements_make_a_smaller_report(tmp_path):
    write_trial(tmp_path, rows=[(10, None, "loss", 1.0)])
    assert main([str(tmp_path)]) == 0
    assert "Nothing yet" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "figures").exists()


def test_different_budgets_are_noted(tmp_path):
    write_trial(tmp_path, "GRU", steps=500)
    write_trial(tmp_path, "LSTM", steps=900)
    assert main([str(tmp_path)]) == 0
    assert "different numbers of training steps" in (tmp_path / "report.md").read_text()


def test_a_report_on_models_for_many_lengths_says_how_far_they_carry_and_which_had_not_converged(tmp_path):
    carried = {5: 1.0, 10: 1.0, 20: 0.98, 40: 0.2}
    for arch in ("LSTM", "Bahdanau"):
        for seed in (0, 1):
            ended = "converged" if arch == "Bahdanau" else "budget"
            rows = [(length, None, "greedy_token_accuracy", value - seed / 1000) for length, value in carried.items()]
            write_trial(tmp_path, arch, 20, seed, rows, min_train_length=1, ended=ended, steps=900 + seed)
    assert main([str(tmp_path)]) == 0
    report = (tmp_path / "report.md").read_text()
    assert row_of(report, "4. Length generalisation")[1:3] == ["**cannot be told from these runs**", "0 of 1 settings"]
    assert "not judged: LSTM (not converged)" in report
    assert "2 of 4 used up their budget before they had converged" in report
    table = report.split("### Effective lengths")[1]
    assert row_of(table, "Bahdanau attention")[2].startswith("1.000") and row_of(table, "LSTM")[4] == "not converged"
    # Those that converged took the steps they needed; those that did not had different budgets.
    assert "had different numbers of training steps" in report
    assert (tmp_path / "figures" / "length_generalisation.png").exists()


def test_a_single_trial_keeps_its_own_results(tmp_path, capsys):
    folder = write_trial(tmp_path, rows=plausible_rows("GRU", 10, 0))
    before = (folder / "results.csv").read_text()
    assert main([str(folder)]) == 0
    assert (folder / "report/report.md").is_file()
    assert main([str(tmp_path), "--output", str(folder)]) == 2
    assert "choose another --output" in capsys.readouterr().err
    assert (folder / "results.csv").read_text() == before


def test_a_claim_without_a_figure_is_not_listed_among_those_with_one(tmp_path, capsys):
    few = plausible_sentences("GRU", 50, 0, count=5)  # which no figure by length shows
    write_text_trial(tmp_path, sentences=few, task="numbers")
    assert main([str(tmp_path)]) == 0
    _, _, written = capsys.readouterr().out.partition("\nreport: ")
    assert "report.md" in written and "Fixed-context bottleneck" not in written


def test_broken_file_gives_one_line_and_writes_nothing(tmp_path, capsys):
    write_trial(tmp_path, seed=0)
    broken = write_trial(tmp_path, seed=1) / "results.csv"
    broken.write_text(broken.read_text()[:-3])
    assert main([str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("lengthwise report: error: ") and str(broken) in captured.err
    assert captured.err.count("\n") == 1 and captured.out == ""
    assert not any((tmp_path / name).exists() for name in ("report.md", "results.csv", "figures"))


def test_broken_file_leaves_the_last_report_as_it_was(tmp_path):
    folder = write_trial(tmp_path)
    assert main([str(tmp_path)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents}
    write_results(folder, [])
    assert main([str(tmp_path)]) == 2
    assert {path: path.read_bytes() for path in before} == before


def test_a_diverged_trial_is_counted_and_in_no_mean(tmp_path):
    write_trial(tmp_path, length=80, seed=0)
    diverged = write_failure(tmp_path, "GRU", 80, seed=1, step=250, reason="the loss is not finite")
    assert main([str(tmp_path)]) == 0
    report = (tmp_path / "report.md").read_text()
    assert f"| {diverged.name} | diverged | 250 | the loss is not finite |" in report
    assert row_of(report.split("## The fixed-context bottleneck")[1], "GRU")[3] == "1 (1 diverged)"
    assert "1 diverged. See *Trials left out*." in report


def test_gradients_and_timings_alone_make_a_report_of_two_claims(tmp_path, capsys):
    written(seven_architectures(), tmp_path / "gradients")
    write_parallelism(tmp_path / "parallelism")
    assert main([str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    report = (tmp_path / "out/report.md").read_text()
    assert report.startswith("# Lengthwise: what length did to gradients and the cost of training\n")
    assert "| 1. Fixed-context bottleneck | not measured |" in report
    assert "| 2. Vanishing gradients | **holds** |" in report
    assert "| 3. Training-time parallelism | **holds** |" in report
    assert "lengthwise sweep sweep.yaml" in report
    assert capsys.readouterr().out.startswith("Vanishing gradients: holds\nTraining-time parallelism: holds\n")


def test_plain_tables_are_left_as_they_are(tmp_path):
    write_parallelism(tmp_path)
    (tmp_path / "results.csv").write_text(",".join(TIDY.names) + "\n")
    before = (tmp_path / "results.csv").read_bytes()
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "report/report.html").is_file() and (tmp_path / "results.csv").read_bytes() == before


def test_figures_alone_are_those_of_the_report(report, sweep, tmp_path, monkeypatch, capsys):
    monkeypatch.undo()  # is drawn
    assert main([str(sweep), "--output", str(tmp_path), "--figures", "bits"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["bits.csv", "bits.pdf", "bits.png"]
    for name in ("bits.csv", "bits.pdf", "bits.png"):
        assert (tmp_path / "figures" / name).read_bytes() == (sweep / "figures" / name).read_bytes()
    assert f"lengthwise report '{sweep}' --figures bits" in report
    assert capsys.readouterr().out == f"{tmp_path / 'figures/bits.png'}\n"


def test_a_figure_that_is_not_there_is_named_with_those_that_are(sweep, tmp_path, capsys):
    assert main([str(sweep), "--output", str(tmp_path / "out"), "--figures", "bites"]) == 2
    error = capsys.readouterr().err
    assert "--figures: these runs have no figure bites; they have accuracy, bits, accuracy_by_position" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_the_page_has_every_figure_and_every_table_of_the_markdown(report, sweep):
    html = (sweep / "report.html").read_text()
    names = [part.split(".png)")[0] for part in report.split("](figures/")[1:] if ".png)" in part.split("\n")[0]]
    assert len(names) >= 3 and all(f'<figure id="{name}">' in html for name in names)
    assert html.count("<table") == report.count("\n| --- ")
    assert all((sweep / "latex" / f"{name}.tex").is_file() for name in names)
    assert (sweep / "latex" / "table_models.tex").is_file()


def test_models_are_listed_with_the_options_they_do_not_share(tmp_path):
    write_trial(tmp_path, "GRU", model={"hidden_size": 64, "dropout": 0.1, "num_layers": 2})
    write_trial(tmp_path, "LSTM", model={"hidden_size": 48, "dropout": 0.1, "forget_bias": 1.0})
    assert main([str(tmp_path)]) == 0
    models = (tmp_path / "report.md").read_text().split("## Models")[1]
    assert "| LSTM | 48 | 100,000 | 1 |" in models and "- LSTM: `forget_bias=1.0`" in models
    assert "| GRU | 64 | 100,000 | 1 |" in models and "- GRU: `num_layers=2`" in models
    assert "Options that all share: `dropout=0.1`" in models


def test_a_path_that_does_not_exist_exits_2(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
