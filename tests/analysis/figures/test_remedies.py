"""A remedy stands beside its baseline, named alike in gradients and results, and the report shows both."""

import numpy as np
import pytest

from analysis.claims.remedies import remedies
from analysis.errors import ReportError
from analysis.figures.gradients.remedies import remedies_figure
from analysis.figures.registry import section_charts
from analysis.report.command import main
from analysis.statistics.gradient_norms import lag_points
from analysis.tables.architectures import Architectures
from analysis.tables.trial_folders import load_runs
from analysis.tables.variants import with_gradients
from tests.helpers.analysis_tables import write_trial
from tests.helpers.gradient_tables import exponential, rows_of, seeds_of, table_of, written

IDENTITY = "nonlinearity=relu, recurrent_init=identity"
NO_CLIPPING = "gradient_clip_val=None"
RECALL = "first-token-recall"


def remedied_trial(folder, variant, seed, decay, accuracy, arch="VanillaRNN", length=21, **model):
    """One trial on recall with gradients.csv, at initialisation and after training."""
    rows = [(length, None, "greedy_token_accuracy", accuracy)]
    name = f"{abs(hash((variant, *model.values()))) % 16**8:08x}"
    trial = write_trial(folder, arch, length, seed, rows, task=RECALL, model=model, suffix=name)
    curves = [
        rows_of(arch, exponential(decay, length), length, seed, phase, step, variant=variant)
        for phase, step in (("initial", 0), ("training", 100), ("trained", 200))
    ]
    written(table_of(*curves), trial)
    return trial


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A baseline, a remedy that helps, one that cannot be told from it, and an architecture without remedies."""
    folder = tmp_path_factory.mktemp("runs") / "sweep"
    for seed in range(3):
        noise = 0.01 * seed
        remedied_trial(folder, "", seed, 0.5 + noise, 0.2 + noise, recurrent_init="default")
        remedied_trial(folder, IDENTITY, seed, 0.9 + noise, 0.9 + noise, recurrent_init="identity")
        remedied_trial(folder, NO_CLIPPING, seed, 0.51 + noise, 0.21 + noise, recurrent_init="default")
        remedied_trial(folder, "", seed, 0.8 + noise, 0.6 + noise, arch="GRU")
    return folder


def gradients_and_results(paths):
    runs, gradients = with_gradients(paths, load_runs(paths))
    return gradients, runs.results


@pytest.fixture(scope="module")
def measured(sweep):
    return gradients_and_results([sweep])


def test_results_and_gradients_of_a_trial_have_one_name_and_defaults_have_none(measured):
    table, results = measured
    names = {"GRU", "VanillaRNN", f"VanillaRNN [{IDENTITY}]", f"VanillaRNN [{NO_CLIPPING}]"}
    assert set(results["arch"]) == names
    assert set(table["variant"]) == {"", IDENTITY, NO_CLIPPING}


def test_sizes_that_gradients_do_not_tell_apart_are_told_apart_by_the_options_of_the_trials(tmp_path):
    for size in (32, 64):
        remedied_trial(tmp_path, "recurrent_init=identity", 0, 0.5 + size / 1000, 0.5, hidden_size=size)
    table, results = gradients_and_results([tmp_path])
    variants = {f"recurrent_init=identity, hidden_size={size}" for size in (32, 64)}
    assert set(table["variant"]) == variants
    assert set(results["arch"]) == {f"VanillaRNN [{variant}]" for variant in variants}


def test_trials_that_nothing_tells_apart_are_refused(tmp_path):
    remedied_trial(tmp_path / "one", "", 0, 0.5, 0.5)
    write_trial(tmp_path / "two", "VanillaRNN", 21, 0, task=RECALL, model={}, suffix="another0")
    with pytest.raises(ReportError, match="same architecture, task, length and seed"):
        gradients_and_results([tmp_path])


def test_remedies_are_judged_by_intervals_of_decay_and_of_accuracy(measured):
    table, results = measured
    by_variant = {one.variant: one for one in remedies(table, results, Architectures())}
    assert set(by_variant) == {"", IDENTITY, NO_CLIPPING}
    assert {variant: (one.slower, one.better) for variant, one in by_variant.items()} == {
        "": (None, None), IDENTITY: (True, True), NO_CLIPPING: (None, None),
    }  # fmt: skip
    trained = by_variant[IDENTITY].trained
    assert trained is not None and trained.decay is not None
    assert trained.decay.mean == pytest.approx(np.exp(np.log([0.9, 0.91, 0.92]).mean()))


def test_a_remedy_that_makes_it_worse_is_called_so(tmp_path):
    for seed in range(2):
        remedied_trial(tmp_path, "", seed, 0.9, 0.9)
        remedied_trial(tmp_path, "dropout=0.5", seed, 0.5, 0.1, dropout=0.5)
    _, worse = remedies(*gradients_and_results([tmp_path]), Architectures())
    assert (worse.slower, worse.better) == (False, False)


def test_the_figure_has_a_row_of_gradient_and_accuracy_for_each_architecture_with_remedies(measured):
    table, results = measured
    chart = remedies_figure(table, results=results, architectures=Architectures())
    assert chart is not None
    assert [axes.get_title(loc="left") for axes in chart.figure.axes] == [
        "Vanilla RNN, at initialisation", "Vanilla RNN, after training", "Vanilla RNN, recall",
    ]  # fmt: skip
    norms = chart.points.query("panel == 'gradient_norm' and phase == 'trained' and distance == 21")
    expected = {variant: np.exp(20 * np.log(decays).mean()) for variant, decays in (
        ("", [0.5, 0.51, 0.52]), (IDENTITY, [0.9, 0.91, 0.92]), (NO_CLIPPING, [0.51, 0.52, 0.53]),
    )}  # fmt: skip
    assert dict(zip(norms["variant"], norms["mean"], strict=True)) == pytest.approx(expected)
    accuracy = chart.points.query("panel == 'accuracy'").set_index("variant")["mean"]
    assert accuracy.to_dict() == pytest.approx({"": 0.21, IDENTITY: 0.91, NO_CLIPPING: 0.22})
    drawn = [line for line in chart.figure.axes[1].lines if line.get_label() in ("baseline", IDENTITY)]
    assert [np.asarray(line.get_ydata())[-1] for line in drawn] == pytest.approx([expected[""], expected[IDENTITY]])


def test_without_results_the_figure_has_gradients_only(measured):
    chart = remedies_figure(measured[0], architectures=Architectures())
    assert chart is not None
    assert len(chart.figure.axes) == 2


def test_without_variants_there_is_no_such_figure():
    assert remedies_figure(table_of(seeds_of("GRU", [exponential(0.8)] * 2)), architectures=Architectures()) is None


def test_figures_of_all_architectures_leave_variants_to_the_figure_of_remedies(measured):
    table, results = measured
    charts = {
        chart.name: chart
        for chart in section_charts("gradients", gradients=table, results=results, architectures=Architectures())
    }
    assert list(charts) == ["gradient_norm", "gradient_heatmap", "accuracy_by_lag", "remedies"]
    assert set(charts["gradient_norm"].points["name"]) == {"VanillaRNN", "GRU"}
    assert set(charts["accuracy_by_lag"].points["arch"]) == {"VanillaRNN", "GRU"}


def test_a_variant_without_its_baseline_stays_in_the_figure_of_all_architectures():
    curve = rows_of("GRU", exponential(0.8), variant="reverse_source=True")
    (chart,) = section_charts("gradients", gradients=table_of(curve), architectures=Architectures())
    assert set(chart.points["name"]) == {"GRU [reverse_source=True]"}


@pytest.mark.usefixtures("undrawn")
def test_the_report_has_a_section_on_gradient_flow_with_its_figures(sweep):
    assert main([str(sweep)]) == 0
    report = (sweep / "report.md").read_text()
    section = report.split("## Gradient flow\n")[1].split("\n## ")[0]
    assert f"LSTM and GRU decay slower than the vanilla RNN ({RECALL}, length 21, after training)" in section
    assert "| Vanilla RNN | nonlinearity=relu, recurrent_init=identity | first-token-recall | 21 | 0.910 [" in section
    links = [part.split(")")[0] for part in section.split("](")[1:]]
    assert "figures/remedies.png" in links and "figures/accuracy_by_lag.csv" in links
    assert all((sweep / link).is_file() for link in links)


@pytest.mark.usefixtures("undrawn")
def test_a_report_of_runs_without_gradients_has_no_such_section(tmp_path):
    write_trial(tmp_path)
    assert main([str(tmp_path)]) == 0
    assert "Gradient flow" not in (tmp_path / "report.md").read_text()


def test_a_broken_gradients_file_ends_the_report_in_one_line_with_nothing_written(tmp_path, capsys):
    trial = remedied_trial(tmp_path, "", 0, 0.5, 0.5)
    path = trial / "gradients.csv"
    path.write_text(path.read_text()[:-3])
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"lengthwise report: error: {path}: ends in the middle of a line")
    assert error.count("\n") == 1
    assert not (tmp_path / "report.md").exists()


def test_models_trained_at_several_lengths_are_compared_at_the_greatest_they_share(tmp_path):
    for seed in range(2):
        for length in (11, 21):
            remedied_trial(tmp_path, "", seed, 0.5, 0.5, length=length)
        remedied_trial(tmp_path, "dropout=0.5", seed, 0.5, 0.4, length=11, dropout=0.5)
    table, results = gradients_and_results([tmp_path])
    assert sorted(set(lag_points(results)["lag"])) == [10, 20]
    baseline, dropout = remedies(table, results, Architectures())
    assert (baseline.length, dropout.length) == (11, 11)
    assert baseline.accuracy is not None
    assert baseline.accuracy.mean == pytest.approx(0.5)
    assert dropout.better is False
