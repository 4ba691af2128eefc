"""A trial of a task in words: its results by distance, and its checkpoint read and asked in words."""

import io
from pathlib import Path

import pytest

from data.tasks import TASKS
from experiments.main import main
from experiments.trial.checkpoints import load_checkpoint
from tests.helpers.trials import checkpoint_of, rows_of, run, small_trial

COURSE = "The animal did not cross the street because it was too tired."


def test_a_task_in_words_is_scored_by_distance_and_shown_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = small_trial(
        tmp_path, model="LuongGlobal", data__task="coreference", data__vocabulary=None, data__eval_lengths="[8]",
        data__train_examples=40, data__validation_examples=8, data__test_examples=8, trainer__max_steps=2,
    )  # fmt: skip
    run(trial)
    rows = {(row["eval_length"], row["metric"]): float(row["value"]) for row in rows_of(trial.folder / "results.csv")}
    assert rows["5", "chance"] == rows["8", "chance"] == pytest.approx(1 / 3)
    assert (rows["8", "greedy_token_accuracy"] * 8).is_integer()  # one word of each sentence
    assert main(["predict", "--checkpoint", checkpoint_of(trial)]) == 0
    source, target, _ = capsys.readouterr().out.splitlines()[1].split("\t")
    assert source.startswith("The ") and " because it was too " in source and " , weil " in target
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(COURSE.encode())))
    assert main(["translate", "--checkpoint", checkpoint_of(trial), "--method", "greedy"]) == 0
    words = capsys.readouterr().out.replace(",", " ,").replace(".", " .").split()
    assert set(words) <= {*TASKS["coreference"].words, "⁇"}
    assert load_checkpoint(Path(checkpoint_of(trial))).text is None
