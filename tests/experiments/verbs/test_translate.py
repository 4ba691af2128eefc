"""`lengthwise translate`: text in, text out, from a checkpoint that may stand anywhere."""

import fcntl
import io
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from data.tokenizer import Tokenizer
from experiments.config.trial import Trial
from experiments.main import main
from experiments.trial.checkpoints import load_checkpoint
from tests.helpers.trials import checkpoint_of, rows_of, run, small_trial


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
        scores = [float(score) for line, score, _ in lines if line == number]
        assert scores == sorted(scores, reverse=True) and scores[0] <= 0


def test_a_text_with_a_tab_stays_one_cell_of_a_table(
    trained: Trial, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Tokenizer, "decode", lambda self, tokens: "a\tb\\t")
    for options in (["--n_best", "2"], ["--scores"]):
        translate("--checkpoint", checkpoint_of(trained), *options, "The big dog.")
        assert {line.split("\t")[2:] == [r"a\tb\\t"] for line in capsys.readouterr().out.splitlines()} == {True}
    translate("--checkpoint", checkpoint_of(trained), "The big dog.")
    assert capsys.readouterr().out == "a\tb\\t\n"  # no table
    main(["predict", "--checkpoint", checkpoint_of(trained)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21 and {line.count("\t") for line in lines} == {2}


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


def test_marks_line_ends_and_blanks_of_a_file_are_no_text(
    trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"in": ["The big dog.", "The tree.", "The old man."], "ref": ["Le chien grand.", "L'arbre.", "L'homme."]}
    printed = []
    for form in ("{}\n", "\t{} \r\n"):
        for name, lines in texts.items():
            mark = "\ufeff" if form != "{}\n" else ""
            (tmp_path / name).write_text(mark + "".join(map(form.format, lines)), encoding="utf-8", newline="")
        translate("--checkpoint", checkpoint_of(trained), "--input", str(tmp_path / "in"),
                  "--reference", str(tmp_path / "ref"))  # fmt: skip
        printed.append(capsys.readouterr())
    assert printed[0] == printed[1]


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
        (["--temperature", "1e-45", "x"], "--temperature: 1e-45 must be at least 1e-06; the limit is greedy"),
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


def test_no_text_gives_no_output(
    trained: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").write_text("")
    files = ["--output", str(tmp_path / "out"), "--reference", str(tmp_path / "empty")]
    assert translate("--checkpoint", checkpoint_of(trained), "--input", str(tmp_path / "empty"), *files) == 0
    assert (tmp_path / "out").read_text() == ""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert translate("--checkpoint", checkpoint_of(trained)) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("option", ["--output", "--attention"])
def test_what_cannot_be_written_is_refused_before_a_model_is_loaded(
    option: str, trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "map.png"
    folder.mkdir()
    assert translate("--checkpoint", "missing.ckpt", option, str(folder), "The big dog.") == 2
    line = capsys.readouterr().err
    assert f"{option}: " in line and str(folder) in line and "Is a directory" in line
    assert translate("--checkpoint", checkpoint_of(trained), "--output", str(tmp_path / "no" / "out"), "x") == 2
    assert "no/out: No such file or directory" in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) == [folder]


def test_pipes_take_text_and_pictures(trained: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = tmp_path / "out", tmp_path / "map.svg"
    readers = []
    for path in paths:
        os.mkfifo(path)
        readers.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        fcntl.fcntl(readers[-1], fcntl.F_SETPIPE_SZ, 1 << 20)
    files = ["--output", str(paths[0]), "--attention", str(paths[1])]
    assert translate("--checkpoint", checkpoint_of(trained), *files, "The big dog.") == 0
    text, picture = (os.read(reader, 1 << 20) for reader in readers)
    assert text.endswith(b"\n") and picture.startswith(b"<?xml")
    for reader in readers:
        os.close(reader)
    assert all(path.is_fifo() for path in paths)


class Asker(io.StringIO):
    """Standard output of somebody who asks the next question only when the answer to the last one has come."""

    def __init__(self, questions: list[bytes], pipe: int) -> None:
        super().__init__()
        self.questions, self.pipe, self.asked = questions, pipe, 0
        self.ask()

    def ask(self) -> None:
        self.asked += 1
        os.write(self.pipe, self.questions.pop(0))
        if not self.questions:
            os.close(self.pipe)

    def give_up(self) -> None:
        self.questions = []
        os.close(self.pipe)

    def flush(self) -> None:
        if self.questions and self.getvalue().count("\n") == self.asked:
            self.ask()


@pytest.mark.parametrize("method", ["greedy", "sample"])
def test_a_line_from_a_pipe_is_answered_before_the_next_one_comes(
    method: str, trained: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    asker = Asker([b"The big dog.\n", b"The tree.\n", b"The old man."], writer)
    waited = threading.Timer(20, asker.give_up)  # so that a test that fails ends
    waited.start()
    monkeypatch.setattr("sys.stdin", os.fdopen(reader, "r"))
    monkeypatch.setattr("sys.stdout", asker)
    assert translate("--checkpoint", checkpoint_of(trained), "--method", method) == 0
    assert waited.is_alive()
    waited.cancel()
    assert asker.getvalue().count("\n") == 3


def test_samples_do_not_depend_on_when_lines_come(trained: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [b"The big dog.\n", b"The tree.\n", b"The old man.\n"]
    outputs = []
    for pieces in ([*questions], [b"".join(questions)]):
        reader, writer = os.pipe()
        asker = Asker(pieces, writer)
        monkeypatch.setattr("sys.stdin", os.fdopen(reader, "r"))
        monkeypatch.setattr("sys.stdout", asker)
        translate("--checkpoint", checkpoint_of(trained), "--method", "sample", "--temperature", "3")
        outputs.append(asker.getvalue())
    assert outputs[0] == outputs[1]
