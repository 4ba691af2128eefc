"""A report of trials on text: BLEU, decoding, signatures, and nothing about synthetic tasks."""

import pytest

from analysis.report.command import main
from analysis.report.render import markdown
from analysis.report.sections.text import bleu_by_length, translations
from analysis.tables.trial_folders import load_runs
from tests.helpers.analysis_tables import plausible_sentences, write_sweep, write_text_sweep, write_text_trial

OF_SYNTHETIC_TASKS = (
    "## The fixed-context bottleneck",
    "## Bits that arrive",
    "No bits recovered",
    "Greedy",
    "Nothing yet",
)


@pytest.fixture(scope="module")
def text_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    write_text_sweep(folder, ("GRU", "Bahdanau"), seeds=(0, 1))
    assert main([str(folder)]) == 0
    return folder


def test_a_report_of_text_says_nothing_about_synthetic_tasks(text_report):
    report = (text_report / "report.md").read_text()
    assert report.startswith("# Lengthwise: what length did to BLEU\n")
    assert not any(phrase in report for phrase in OF_SYNTHETIC_TASKS)
    assert sorted(path.stem for path in (text_report / "figures").glob("*.png")) == [
        "bleu_by_length", "length_ratio_by_length",
    ]  # fmt: skip


def test_decoding_and_signatures_are_stated(text_report):
    report = (text_report / "report.md").read_text()
    assert "- Decoding: beam 5, length penalty 1.0\n- BLEU: `nrefs:1|case:lc|tok:13a`\n" in report
    assert "- TER: `nrefs:1|case:lc`" in report
    assert "**Note.**" not in report.split("## BLEU by source length")[1]


def test_every_link_of_a_text_report_leads_to_a_file(text_report):
    links = [part.split(")")[0] for part in (text_report / "report.md").read_text().split("](")[1:]]
    assert "figures/bleu_by_length.pdf" in links
    assert all((text_report / link).is_file() for link in links)


def test_tidy_table_of_text_keeps_the_buckets(text_report):
    header, first = (text_report / "results.csv").read_text().splitlines()[:2]
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (row["bucket"], row["position"], row["metric"]) == ("all", "", "loss")


def test_a_mixed_report_shows_both_and_keeps_them_apart(tmp_path, capsys):
    write_sweep(tmp_path / "synthetic", ("LSTM", "Bahdanau"), (5, 10), (0, 1))
    assert main([str(tmp_path / "synthetic")]) == 0
    alone = (tmp_path / "synthetic/report.md").read_text()
    write_text_sweep(tmp_path / "text", ("GRU", "Bahdanau"), (50,), (0, 1))
    capsys.readouterr()
    assert main([str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    report = (tmp_path / "out/report.md").read_text()
    assert report.startswith("# Lengthwise: what length did to accuracy and BLEU\n")
    section = alone.split("## The fixed-context bottleneck")[1].split("![Accuracy]")[0]
    assert section in report
    for name in ("accuracy", "bits"):
        figures = [tmp_path / folder / "figures" / f"{name}.png" for folder in ("synthetic", "out")]
        assert figures[0].read_bytes() == figures[1].read_bytes()
    out = capsys.readouterr().out
    assert "mean greedy token accuracy, 2 seeds: reverse" in out and "mean BLEU: multi30k" in out and "GRU-50" in out


def test_bleu_computed_in_two_ways_is_shown_apart_and_noted(tmp_path):
    write_text_trial(tmp_path, "GRU")
    write_text_trial(tmp_path, "Bahdanau", signatures={"bleu": "nrefs:1|case:mixed|tok:13a"})
    runs = load_runs([tmp_path])
    report = markdown.document(translations(runs))
    assert "**Note.** BLEU of one test set was computed in different ways" in report
    assert "flickr2016, BLEU signature 1" in report and "flickr2016, BLEU signature 2" in report
    assert "- BLEU: `nrefs:1|case:lc|tok:13a`; `nrefs:1|case:mixed|tok:13a`\n- chrF: `nrefs:1|nc:6`\n" in report
    assert "Difference of BLEU" not in markdown.document(bleu_by_length(runs))


def with_short_references(sentences, least):
    """The same sentences with references of at most 3 words where the source is shorter than `least`."""
    return [
        {**row, "reference_words": min(row["reference_words"], 3 if row["source_length"] < least else 99)}
        for row in sentences
    ]


@pytest.mark.usefixtures("undrawn")
def test_where_bleu_is_undefined_chrf_and_exact_match_lead_and_no_zero_stands_for_it(tmp_path, capsys):
    write_text_trial(tmp_path, sentences=with_short_references(plausible_sentences("GRU", 30, 0), 999))
    assert main([str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    out, report = capsys.readouterr().out, (tmp_path / "out/report.md").read_text()
    undefined = "BLEU is undefined: no reference has 4 words"
    assert undefined in out and "GRU-30  55.5        0.100" in out and "mean BLEU" not in out
    assert f"trained up to 30.** {undefined}" in report
    assert "| Architecture | Test set | Trained up to | chrF | Exact match | TER | BLEU | Seeds |" in report
    assert "| 55.5 | 0.100 | 44.5 | - | 1 |" in report
    assert not (tmp_path / "out/figures/bleu_by_length.png").exists()


def test_ranges_whose_bleu_is_undefined_are_left_out_and_named(tmp_path):
    for arch in ("GRU", "Bahdanau"):
        write_text_trial(tmp_path, arch, sentences=with_short_references(plausible_sentences(arch, 30, 0), 11))
    report = markdown.document(bleu_by_length(load_runs([tmp_path])))
    assert "Left out as BLEU is undefined where no reference has 4 words: 1-10." in report
    assert "| Architecture | 11-20 (n = " in report and "From 11-20 to " in report


def test_other_decoding_is_noted(tmp_path):
    write_text_trial(tmp_path, "GRU")
    write_text_trial(tmp_path, "Bahdanau", decoding="greedy")
    report = markdown.document(translations(load_runs([tmp_path])))
    assert "were decoded in different ways" in report
    assert "- Decoding: beam 5, length penalty 1.0; greedy\n" in report


def test_a_score_that_its_sentences_do_not_give_is_noted(tmp_path):
    folder = write_text_trial(tmp_path)
    lines = (folder / "results.csv").read_text().splitlines(keepends=True)
    changed = ["test,70,all,,bleu,99.0\n" if ",all,,bleu," in line else line for line in lines]
    (folder / "results.csv").write_text("".join(changed))
    assert f"{folder.name} states BLEU 99.00, but its sentences give" in markdown.document(
        translations(load_runs([tmp_path]))
    )
