"""An architecture that says of itself what it is gets judged, drawn and tabulated like those of the suite."""

import pandas as pd
import pytest

from analysis.claims.bottleneck import bottleneck_verdict
from analysis.claims.gradients import gradient_verdict
from analysis.claims.parallelism import parallelism_verdict
from analysis.claims.text_length import length_claim
from analysis.claims.verdicts import Answer
from analysis.report.command import main as report
from analysis.statistics.comparisons import comparisons
from analysis.statistics.gradient_fits import fits
from analysis.tables.architectures import Architecture, Architectures
from analysis.tables.trial_folders import load_runs
from tests.helpers.analysis_tables import plausible_rows, write_sweep, write_text_trial, write_trial
from tests.helpers.gradient_tables import exponential, flat, seeds_of, table_of
from tests.helpers.report_folders import timings

MEAN_CONTEXT = {
    "display_name": "Mean context", "attends": False, "windowed": False, "recurrence": None, "work": "n·d²",
    "sequential_operations": "O(n)", "path_length": "O(1)", "context_size": 64,
}  # fmt: skip


def write_mean_context(sweep):
    for length in (10, 80):
        for seed in range(3):
            rows = plausible_rows("VanillaRNN", length, seed)
            write_trial(sweep, "MeanContext", length, seed, rows, architecture=MEAN_CONTEXT)
    return sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = write_sweep(tmp_path_factory.mktemp("runs") / "sweep", ("Bahdanau",), lengths=(10, 80))
    return write_mean_context(folder)


def test_what_it_says_of_itself_is_read_from_its_summary(sweep):
    read = load_runs([sweep]).architectures["MeanContext"]
    assert read == Architecture("MeanContext", "Mean context", False, False, None, "n·d²", "O(n)", "O(1)")


def test_it_is_judged_as_the_only_fixed_context(sweep):
    runs = load_runs([sweep])
    verdict = bottleneck_verdict(runs.results, runs.failures, [], runs.architectures)
    assert verdict.answer == Answer.HOLDS
    assert verdict.findings[0].parts[0].measured.startswith("Mean context 0.")


def test_without_saying_what_it_is_it_decides_nothing(sweep):
    runs = load_runs([sweep])
    [finding] = bottleneck_verdict(runs.results, runs.failures, [], Architectures()).findings
    assert finding.parts[0].measured == "none was run" and finding.answer == Answer.UNTOLD


@pytest.mark.usefixtures("undrawn")
def test_it_is_drawn_and_tabulated(sweep, tmp_path, capsys):
    assert report([str(sweep), "--output", str(tmp_path)]) == 0
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| Bahdanau attention | Mean context |" in text  # a pair
    assert "Between lengths 10 and 80: degrades: Mean context" in text
    for table in ("Models", "Bits that arrive", "Length that halves accuracy"):
        section = text.partition(f"## {table}")[2].partition("\n## ")[0]
        assert "| Mean context |" in section, table
    for figure in ("accuracy", "bits"):
        points = pd.read_csv(tmp_path / "figures" / f"{figure}.csv")
        assert set(points["arch"]) == {"Bahdanau", "MeanContext"}
    assert "Mean context" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Mean context" in capsys.readouterr().out


def test_text_is_judged_by_it_too(tmp_path):
    for arch, description in (("Bahdanau", {"attends": True}), ("MeanContext", MEAN_CONTEXT)):
        for seed in range(2):
            write_text_trial(tmp_path, arch, 50, seed, architecture=description)
    claim = length_claim(comparisons(load_runs([tmp_path]))[0])
    assert claim.fixed is not None and claim.attention is not None and claim.advantage is not None


def test_a_gated_recurrence_is_judged_beside_lstm_and_gru():
    architectures = Architectures([Architecture("Minimal", "Minimal gate", attends=False, recurrence="gated")])
    decays = {"VanillaRNN": 0.5, "LSTM": 0.7, "GRU": 0.8, "Minimal": 0.3}
    curves = [seeds_of(arch, [exponential(decay + 0.01 * seed) for seed in range(3)]) for arch, decay in decays.items()]
    table = table_of(*curves, seeds_of("Bahdanau", [flat()] * 3))
    [finding] = gradient_verdict(fits(table, architectures), architectures).findings
    slower = finding.parts[2]
    assert slower.statement.startswith("LSTM and GRU decay slower") and slower.answer == Answer.FAILS
    assert slower.measured.startswith("faster are Minimal gate; ")


def test_theory_decides_what_its_counts_have_to_show():
    architectures = Architectures([Architecture("Newcomer", "Newcomer", sequential_operations="O(1)")])
    renamed = timings().assign(arch=lambda table: table["arch"].replace("Transformer", "Newcomer"))
    assert parallelism_verdict(renamed, architectures).answer == Answer.HOLDS
    assert parallelism_verdict(renamed, Architectures()).answer == Answer.UNTOLD
