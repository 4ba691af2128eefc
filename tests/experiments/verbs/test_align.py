"""`lengthwise align`: links between words from attention, and their error rate."""

from pathlib import Path

import pytest

from experiments.config.trial import Trial
from experiments.main import main
from tests.helpers.trials import checkpoint_of, run, text_trial


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


def test_a_gold_link_outside_its_sentence_is_refused_by_file_and_line(
    trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pairs").write_text("the  dog\tle chien\nthe \u3000 dog\tle chien\n")  # spaces alone divide words
    (gold := tmp_path / "gold").write_text("1-1 2-2\n1-1 3p2\n")
    files = ["--source", str(tmp_path / "pairs"), "--gold", str(gold)]
    assert main(["align", "--checkpoint", checkpoint_of(trained), *files, "--gold_offset", "1"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["align", "--checkpoint", checkpoint_of(trained), *files]) == 2
    assert capsys.readouterr() == (
        "",
        f"lengthwise align: error: --gold: {gold}: line 1: link 2-2 lies outside its sentence of 2 and 2 words, "
        "counted from 0; mend it, or give another --gold_offset\n",
    )


def test_links_are_between_the_words_of_the_lines_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.tokenizer.NORMALISATION", "nmt_nfkc")  # as older checkpoints carry it
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path))
    trial = text_trial(tmp_path, model="LuongGlobal", trainer__max_steps=2)
    run(trial)
    (tmp_path / "pair").write_text("the d\u00b4og sees\t\u200b l\u00b4e chien ½\n")
    out = tmp_path / "links"
    files = ["--source", str(tmp_path / "pair"), "--output", str(out)]
    assert main(["align", "--checkpoint", checkpoint_of(trial), *files]) == 0
    links = [tuple(map(int, link.split("-"))) for link in out.read_text().split()]
    assert [target for _, target in sorted(links, key=lambda link: link[1])] == [1, 2, 3]  # of word 0 nothing is left
    assert {source for source, _ in links} <= {0, 1, 2}


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


def test_no_pairs_give_no_links_and_an_output_that_cannot_be_written_is_refused_first(
    trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").write_text("")
    files = ["--source", str(tmp_path / "empty"), "--target", str(tmp_path / "empty")]
    assert main(["align", "--checkpoint", checkpoint_of(trained), *files, "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == ""
    assert main(["align", "--checkpoint", checkpoint_of(trained), *files]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["align", "--checkpoint", checkpoint_of(trained), *files, "--output", str(tmp_path)]) == 2
    assert f"--output: cannot write {tmp_path}: Is a directory" in capsys.readouterr().err
