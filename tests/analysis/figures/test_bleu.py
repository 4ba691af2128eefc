"""BLEU against source length: what the figure shows is what the sentences give."""

import numpy as np
import pandas as pd
import pytest
from sacrebleu.metrics.bleu import BLEU

from analysis.claims.text_length import length_claim
from analysis.claims.verdicts import Answer
from analysis.errors import ReportError
from analysis.figures.chart import save_chart
from analysis.figures.length.bleu import by_length_figure, length_ratio, length_ratio_figure, points_by_length
from analysis.figures.registry import section_charts
from analysis.report.command import main as report
from analysis.report.render import markdown
from analysis.report.sections.text import bleu_by_length
from analysis.statistics.comparisons import comparisons
from analysis.statistics.pairs import bleu_pairs
from analysis.tables.architectures import Architectures
from analysis.tables.schema import BLEU_STATISTICS
from analysis.tables.trial_folders import load_runs
from analysis.tables.variants import tell_variants_apart
from tests.helpers.analysis_tables import (
    ARCHITECTURES,
    bucket_name,
    plausible_sentences,
    write_sweep,
    write_text_sweep,
    write_text_trial,
)

SHOWN = ["1-10", "11-20", "21-30", "31-40", "41-50"]  # 51+ has too few sentences


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two architectures at two train lengths, two seeds."""
    return load_runs([write_text_sweep(tmp_path_factory.mktemp("text"), ("GRU", "Bahdanau"), seeds=(0, 1))])


@pytest.fixture(scope="module")
def chart(runs):
    return by_length_figure(runs)


def bleu(sentences):
    sums = [sum(sentence[column] for sentence in sentences) for column in BLEU_STATISTICS]
    return BLEU.compute_bleu(sums[:4], sums[4:8], sums[8], sums[9], smooth_method="exp").score


def same_source_length(length, count):
    return [{**sentence, "source_length": length} for sentence in plausible_sentences("GRU", 30, 0, count)]


def drawn(axes):
    """x, y of every line that shows measurements, by its name."""
    return {line.get_label(): np.column_stack(line.lines[0].get_data()).astype(float) for line in axes.containers}


def dashed(axes):
    """Where the vertical lines stand."""
    return sorted({line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1})


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_points_are_the_mean_over_seeds_of_bleu_in_the_bucket(chart):
    for _, point in chart.points.iterrows():
        scores, lengths = [], []
        for seed in (0, 1):
            sentences = plausible_sentences(point["arch"], point["train_length"], seed)
            bucket = [row for row in sentences if bucket_name(row["source_length"]) == point["bucket"]]
            scores.append(bleu(bucket))
            lengths = [row["source_length"] for row in bucket]
        assert point["mean"] == pytest.approx(np.mean(scores))
        assert point["low"] < point["mean"] < point["high"]
        assert point["mean_source_length"] == pytest.approx(np.mean(lengths))
        assert (point["sentences"], point["seeds"]) == (len(lengths), 2)


def test_bleu_of_buckets_agrees_with_what_the_trials_state(runs, chart):
    stated = runs.results.query("metric == 'bleu'").groupby(["arch", "train_length", "bucket"])["value"].mean()
    shown = chart.points.set_index(["arch", "train_length", "bucket"])["mean"]
    assert len(shown) == 4 * len(SHOWN)
    np.testing.assert_allclose(shown, stated[shown.index])


def test_figure_draws_the_points_of_its_csv(chart, tmp_path):
    [axes] = chart.figure.axes
    lines = drawn(axes)
    saved = pd.read_csv(save_chart(chart, tmp_path)["csv"])
    assert set(lines) == set(saved["name"]) == {"GRU-30", "GRU-50", "Bahdanau-30", "Bahdanau-50"}
    for name, points in saved.groupby("name"):
        np.testing.assert_allclose(lines[name], points[["mean_source_length", "mean"]].to_numpy())


def test_train_lengths_are_dashed_and_named_in_the_legend(chart):
    assert dashed(chart.figure.axes[0]) == [30, 50]
    assert legend(chart.figure) == ["GRU-30", "GRU-50", "Bahdanau-30", "Bahdanau-50", "train length"]


def test_train_lengths_differ_in_their_markers(chart):
    markers = {line.get_label(): line.lines[0].get_markerfacecolor() for line in chart.figure.axes[0].containers}
    assert markers["GRU-30"] == markers["Bahdanau-30"] == "white"
    assert markers["GRU-50"] != "white" and markers["GRU-50"] != markers["Bahdanau-50"]


def test_everything_drawn_lies_within_the_axes(chart):
    [axes] = chart.figure.axes
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > chart.points["high"].max()
    assert axes.get_xlim()[0] == 0 and axes.get_xlim()[1] > 50


def test_small_buckets_are_left_out_and_named(chart):
    assert chart.points["bucket"].unique().tolist() == SHOWN
    count = sum(sentence["source_length"] > 50 for sentence in plausible_sentences("GRU", 30, 0))
    assert 0 < count < 20
    assert f"Left out for fewer than 20 sentences: 51+ (n = {count})." in chart.caption


@pytest.mark.parametrize(("count", "shown"), [(19, []), (20, ["11-20"])])
def test_twenty_sentences_are_enough(tmp_path, count, shown):
    write_text_trial(tmp_path, sentences=same_source_length(15, count))
    [comparison] = comparisons(load_runs([tmp_path]))
    assert [bucket.name for bucket in comparison.buckets] == shown
    assert comparison.whole.sentences == count


@pytest.mark.parametrize(
    ("length", "bucket"), [(1, "1-10"), (10, "1-10"), (11, "11-20"), (50, "41-50"), (51, "51+"), (900, "51+")]
)
def test_both_ends_of_a_bucket_belong_to_it(tmp_path, length, bucket):
    sentences = same_source_length(length, 20) + [
        {**sentence, "line": sentence["line"] + 20} for sentence in same_source_length(25, 20)
    ]
    write_text_trial(tmp_path, sentences=sentences)
    [comparison] = comparisons(load_runs([tmp_path]))
    buckets = {bucket.name: bucket for bucket in comparison.buckets}
    assert set(buckets) == {bucket, "21-30"}
    assert (buckets[bucket].sentences, buckets[bucket].mean_source_length) == (20, length)


def test_buckets_stand_in_order_of_length(tmp_path):
    sentences = plausible_sentences("GRU", 30, 0)[::-1]
    write_text_trial(tmp_path, sentences=sentences)
    [comparison] = comparisons(load_runs([tmp_path]))
    assert [bucket.name for bucket in comparison.buckets] == SHOWN


def test_length_ratio_is_words_of_outputs_over_words_of_references(runs):
    points = points_by_length(comparisons(runs), Architectures(), length_ratio).set_index(
        ["arch", "train_length", "bucket"]
    )
    bucket = [row for row in plausible_sentences("GRU", 30, 0) if bucket_name(row["source_length"]) == "41-50"]
    expected = sum(row["output_words"] for row in bucket) / sum(row["reference_words"] for row in bucket)
    assert expected < 0.9
    assert points.loc[("GRU", 30, "41-50"), "mean"] == pytest.approx(expected)  # the same for both seeds
    assert points.loc[("Bahdanau", 30, "41-50"), "mean"] == 1.0
    chart = length_ratio_figure(runs)
    assert chart is not None and "reference" in legend(chart.figure)


def test_many_lines_have_a_panel_a_train_length(tmp_path):
    runs = load_runs([write_text_sweep(tmp_path, ARCHITECTURES, seeds=(0,))])
    chart = by_length_figure(runs)
    assert chart is not None
    assert [axes.get_title(loc="left").rpartition(", ")[2] for axes in chart.figure.axes] == [
        "trained up to 30", "trained up to 50",
    ]  # fmt: skip
    assert [dashed(axes) for axes in chart.figure.axes] == [[30], [50]]
    assert len({axes.get_ylim() for axes in chart.figure.axes}) == 1
    assert len(legend(chart.figure)) == 8 and "Luong local" in legend(chart.figure)


def test_each_test_set_has_its_panel(tmp_path):
    for name in ("flickr2016", "flickr2017"):
        write_text_trial(tmp_path, test_name=name, suffix=name)
    write_text_trial(tmp_path, task="dates", test_name="dates")
    chart = by_length_figure(load_runs([tmp_path]))
    assert chart is not None
    titles = [axes.get_title(loc="left") for axes in chart.figure.axes if axes.get_visible()]
    assert [title.split(", ")[-2] for title in titles] == ["dates", "flickr2016", "flickr2017"]


def test_trials_with_other_references_are_refused(tmp_path):
    write_text_trial(tmp_path, "GRU")
    other = plausible_sentences("LSTM", 30, 0)
    other[7]["reference"] = "something else"
    write_text_trial(tmp_path, "LSTM", sentences=other)
    with pytest.raises(ReportError, match="the same test set by name but different test sentences"):
        comparisons(load_runs([tmp_path]))


def test_trials_that_read_the_source_in_other_tokens_are_refused(tmp_path):
    write_text_trial(tmp_path, "GRU")
    other = plausible_sentences("LSTM", 30, 0)
    other[7]["source_length"] += 1
    write_text_trial(tmp_path, "LSTM", sentences=other)
    with pytest.raises(ReportError, match="different source lengths in tokens"):
        comparisons(load_runs([tmp_path]))


def test_attention_is_paired_with_every_fixed_context_at_the_longest_bucket(tmp_path):
    runs = load_runs([write_text_sweep(tmp_path, ("LSTM", "GRU", "Bahdanau"), lengths=(30,))])
    [comparison] = comparisons(runs)
    pairs = bleu_pairs(comparison)
    assert [(pair.attention, pair.fixed) for pair in pairs] == [("Bahdanau", "LSTM"), ("Bahdanau", "GRU")]
    means = points_by_length([comparison], Architectures()).set_index(["arch", "bucket"])["mean"]
    for pair in pairs:
        expected = means["Bahdanau", "41-50"] - means[pair.fixed, "41-50"]
        assert pair.difference.mean == pytest.approx(expected)
        assert 0 < pair.difference.low < expected < pair.difference.high
        assert pair.p_value <= pair.corrected <= 2 * pair.p_value < 0.05


def test_equal_models_differ_by_nothing(tmp_path):
    for arch in ("GRU", "Bahdanau"):
        write_text_trial(tmp_path, arch, sentences=plausible_sentences("GRU", 30, 0))
    [pair] = bleu_pairs(comparisons(load_runs([tmp_path]))[0])
    assert pair.difference == (0.0, 0.0, 0.0, 1)
    assert (pair.p_value, pair.corrected) == (1.0, 1.0)


def test_claim_states_the_shares_of_bleu_kept(runs):
    comparison = comparisons(runs)[0]
    claim = length_claim(comparison)
    shares = []
    for seed in (0, 1):
        sentences = plausible_sentences("GRU", 30, seed)
        of = {name: [row for row in sentences if bucket_name(row["source_length"]) == name] for name in SHOWN}
        shares.append(bleu(of["41-50"]) / bleu(of["1-10"]))
    assert claim.fixed is not None and claim.attention is not None and claim.advantage is not None
    assert claim.fixed.mean == pytest.approx(np.mean(shares))
    assert claim.advantage.mean == pytest.approx(claim.attention.mean - claim.fixed.mean)


def short_and_long(sentences, lost):
    """The same sentences twice, as short ones and as long ones, of whose right n-grams a share is lost."""
    short = [{**row, "source_length": 5} for row in sentences]
    return short + [
        {
            **row, "line": row["line"] + len(sentences), "source_length": 45,
            **{f"bleu_correct_{n}": round((1 - lost) * row[f"bleu_correct_{n}"]) for n in range(1, 5)},
        }
        for row in sentences
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("attention_lost", "fixed_lost", "answer"),
    [(0.0, 0.5, Answer.HOLDS), (0.3, 0.6, Answer.IN_PART), (0.0, 0.0, Answer.FAILS), (0.6, 0.2, Answer.FAILS)],
)
def test_claim_follows_what_each_kind_keeps(tmp_path, attention_lost, fixed_lost, answer):
    for arch, lost in (("Bahdanau", attention_lost), ("GRU", fixed_lost)):
        for seed in (0, 1):
            sentences = plausible_sentences("Bahdanau", 50, seed)
            write_text_trial(tmp_path, arch, 50, seed, short_and_long(sentences, lost))
    assert length_claim(comparisons(load_runs([tmp_path]))[0]).answer == answer


@pytest.mark.parametrize(
    ("archs", "seeds", "reason"),
    [
        (("GRU", "LSTM"), (0, 1), "no architecture with attention"),
        (("Bahdanau", "Newcomer"), (0, 1), "no architecture with a fixed context"),
        (("GRU", "Bahdanau"), (0,), "one seed"),
    ],
)
def test_claim_cannot_be_told_without_both_kinds_and_two_seeds(tmp_path, archs, seeds, reason):
    runs = load_runs([write_text_sweep(tmp_path, archs, (30,), seeds)])
    assert length_claim(comparisons(runs)[0])[:2] == (Answer.UNTOLD, reason)
    text = markdown.document(bleu_by_length(runs))
    assert f"a fixed context loses it cannot be told from these runs: {reason}." in text


def test_models_that_translate_nothing_leave_the_claim_open(tmp_path):
    nothing = [
        {**sentence, **{f"bleu_correct_{n}": 0 for n in range(1, 5)}} for sentence in plausible_sentences("GRU", 30, 0)
    ]
    for arch in ("GRU", "Bahdanau"):
        write_text_trial(tmp_path, arch, sentences=nothing)
    runs = load_runs([tmp_path])
    assert length_claim(comparisons(runs)[0])[:2] == (Answer.UNTOLD, "BLEU of 0 on the shortest sentences")
    assert "| GRU | 0.0 [0.0, 0.0] | 0.0 [0.0, 0.0] |" in markdown.document(bleu_by_length(runs))


def test_one_range_of_lengths_leaves_the_claim_open(tmp_path):
    for arch in ("GRU", "Bahdanau"):
        write_text_trial(tmp_path, arch, sentences=same_source_length(15, 40))
    assert length_claim(comparisons(load_runs([tmp_path]))[0])[:2] == (Answer.UNTOLD, "one range of lengths")


@pytest.mark.usefixtures("undrawn")
def test_a_report_without_a_bucket_of_enough_sentences_can_be_made(tmp_path, capsys):
    write_text_trial(tmp_path, sentences=same_source_length(15, 5))
    assert report([str(tmp_path)]) == 0
    assert "no range of lengths has enough sentences" in (tmp_path / "report.md").read_text()
    assert report([str(tmp_path), "--figures", "bleu_by_length"]) == 2
    assert "no figure bleu_by_length" in capsys.readouterr().err


def test_report_shows_the_table_with_the_size_of_each_bucket(tmp_path):
    runs = load_runs([write_text_sweep(tmp_path, ("GRU", "Bahdanau"), (30,))])
    text = markdown.document(bleu_by_length(runs))
    count = sum(sentence["source_length"] <= 10 for sentence in plausible_sentences("GRU", 30, 0))
    assert f"| Architecture | 1-10 (n = {count}) | 11-20 (n = " in text
    [point] = (
        points_by_length(comparisons(runs), Architectures())
        .query("arch == 'GRU' and bucket == '1-10'")
        .to_dict("records")
    )
    assert f"| GRU | {point['mean']:.1f} [{point['low']:.1f}, {point['high']:.1f}] |" in text
    assert "| Attention | Fixed context | Difference of BLEU at 41-50 | p | p, corrected (Holm) | Seeds |" in text


def test_variants_of_an_architecture_are_lines_of_their_own(tmp_path):
    for width in (64, 128):
        write_text_trial(tmp_path, model={"hidden_size": width}, suffix=str(width))
    chart = by_length_figure(tell_variants_apart(load_runs([tmp_path])))
    assert chart is not None
    assert set(drawn(chart.figure.axes[0])) == {"GRU [hidden_size=128]-30", "GRU [hidden_size=64]-30"}


def test_synthetic_tasks_have_no_such_figure(tmp_path, capsys):
    write_sweep(tmp_path, ("GRU",), (5,), (0,))
    assert section_charts("text", runs=load_runs([tmp_path]), architectures=Architectures()) == []
    assert report([str(tmp_path), "--figures", "bleu_by_length"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "no figure bleu_by_length" in error


def test_figures_are_written_by_their_names(tmp_path):
    write_text_trial(tmp_path / "runs")
    names = ("bleu_by_length", "length_ratio_by_length")
    assert report([str(tmp_path / "runs"), "--output", str(tmp_path / "out"), "--figures", *names]) == 0
    assert {path.name for path in (tmp_path / "out/figures").iterdir()} == {
        f"{name}.{suffix}" for name in names for suffix in ("png", "pdf", "csv")
    }
    charts = section_charts("text", runs=load_runs([tmp_path / "runs"]), architectures=Architectures())
    assert all("One seed" in chart.caption for chart in charts)
