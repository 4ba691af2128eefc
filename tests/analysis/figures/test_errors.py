"""The figures of errors show what the table says; what had not converged is marked in every figure."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.length.accuracy import accuracy_figure
from analysis.figures.length.errors import ENDINGS, PREFIXES, errors_figure, prefixes_figure
from analysis.figures.length.generalisation import length_generalisation_figure
from analysis.figures.length.positions import position_figure
from analysis.figures.registry import section_charts
from analysis.tables.architectures import Architectures
from analysis.tables.trial_folders import load_runs
from tests.helpers.analysis_tables import write_trial
from tests.helpers.charts import rings

SHARES = {  # of test lengths 10, 20, 40: exact match, wrong content, ended early, ended late
    "LSTM": {10: (0.7, 0.2, 0.1, 0.0), 20: (0.1, 0.5, 0.2, 0.2), 40: (0.0, 0.4, 0.3, 0.3)},
    "Bahdanau": {10: (1.0, 0.0, 0.0, 0.0), 20: (0.9, 0.1, 0.0, 0.0), 40: (0.2, 0.1, 0.7, 0.0)},
}
ACCURACIES = {10: (0.99, 0.9, 0.8), 20: (0.9, 0.7, 0.6), 40: (0.8, 0.3, 0.2)}  # in the order of PREFIXES


def rows_of(arch: str) -> list[tuple[int, int | None, str, float]]:
    rows: list[tuple[int, int | None, str, float]] = []
    for length, shares in SHARES[arch].items():
        rows += [(length, None, metric, share) for metric, share in zip(ENDINGS, shares, strict=True)]
        rows += [(length, None, metric, value) for metric, value in zip(PREFIXES, ACCURACIES[length], strict=True)]
        rows += [(length, place, "greedy_token_accuracy_by_position", 0.5) for place in range(1, length + 1)]
    return rows


@pytest.fixture
def results(tmp_path) -> pd.DataFrame:
    """Two architectures trained up to 20, of which LSTM had not converged in one of two seeds of reversing."""
    for arch in SHARES:
        for seed in (0, 1):
            ended = "budget" if (arch, seed) == ("LSTM", 1) else "converged"
            write_trial(tmp_path, arch, 20, seed, rows_of(arch), min_train_length=1, ended=ended)
    return load_runs([tmp_path]).results


def test_shares_of_outputs_are_stacked_to_one_in_a_panel_for_each_architecture(results):
    chart = errors_figure(results, Architectures())
    assert chart is not None
    assert [axes.get_title(loc="left").splitlines()[0] for axes in chart.figure.axes] == [
        "LSTM (not converged),", "Bahdanau attention,",
    ]  # fmt: skip
    for axes, arch in zip(chart.figure.axes, SHARES, strict=True):
        tops = np.cumsum(list(SHARES[arch].values()), axis=1)  # (lengths, kinds)
        for kind, area in enumerate(axes.collections):
            corners = np.asarray(area.get_paths()[0].vertices)
            for place, length in enumerate(SHARES[arch]):
                assert corners[corners[:, 0] == length, 1].max() == pytest.approx(tops[place, kind])
        assert tops[:, -1] == pytest.approx(1)


def test_one_length_is_a_bar_and_long_names_of_variants_keep_apart(results):
    """Variants of a sweep have their options in their names."""
    one = results[results["eval_length"] == 10]
    variants = ["Bahdanau [init_from=denoise, train_examples=1000]", "Bahdanau [init_from=None, train_examples=3000]"]
    chart = errors_figure(
        pd.concat([one[one["arch"] == "Bahdanau"].assign(arch=name) for name in variants]), Architectures()
    )
    assert chart is not None
    chart.figure.draw_without_rendering()
    for axes in chart.figure.axes:
        widths = [np.ptp(np.asarray(area.get_paths()[0].vertices)[:, 0]) for area in axes.collections]
        assert widths == [1.0] * len(ENDINGS)
    first, second = chart.figure.axes
    assert max(map(len, first.get_title(loc="left").splitlines())) <= 23
    assert first.get_tightbbox().x1 < second.get_tightbbox().x0


def test_accuracies_by_prefix_are_three_lines_beyond_the_limit_too(results):
    chart = prefixes_figure(results, Architectures())
    assert chart is not None
    for axes in chart.figure.axes:
        drawn = [line for line in axes.lines if line.get_linestyle() != "None" and np.size(line.get_xdata()) == 3]
        for column, line in enumerate(drawn):
            expected = [[length, values[column]] for length, values in ACCURACIES.items()]
            np.testing.assert_allclose(np.column_stack(line.get_data()).astype(float), expected)
        assert len(drawn) == 3


def test_only_the_greatest_limit_of_a_task_is_shown(results, tmp_path):
    write_trial(tmp_path, "LSTM", 40, 0, rows_of("LSTM"), min_train_length=1)
    chart = errors_figure(load_runs([tmp_path]).results, Architectures())
    assert chart is not None and set(chart.points["limit"]) == {40}


def test_tables_without_endings_make_no_figure(results):
    without = results[~results["metric"].isin(["greedy_wrong_content", "forced_length_token_accuracy"])]
    assert errors_figure(without, Architectures()) is None
    assert prefixes_figure(without, Architectures()) is None


def test_a_point_behind_which_a_trial_had_not_converged_is_ringed(results):
    [chart] = [chart for chart in section_charts("bottleneck", Architectures(), results=results)
               if chart.name == "accuracy"]  # fmt: skip
    assert rings(chart.figure.axes[0]) == [[10.0, 0.8], [20.0, 0.6]]  # those of LSTM alone
    assert "Rings and *not converged*: some trial behind it used up its budget" in chart.caption
    beyond = length_generalisation_figure(results, Architectures())
    assert beyond is not None and rings(beyond.figure.axes[0]) == [[10.0, 0.8], [20.0, 0.6], [40.0, 0.2]]
    converged = accuracy_figure(results[results["ended"] == "converged"], Architectures())
    assert converged is not None and not rings(converged.figure.axes[0])


def test_a_map_names_what_had_not_converged(results):
    chart = position_figure(results, Architectures())
    assert chart is not None
    names = [label.get_text() for label in chart.figure.axes[0].get_yticklabels()]
    assert names == ["LSTM (not converged)", "Bahdanau attention"]
