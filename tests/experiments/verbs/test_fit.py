"""The progress bar of `lengthwise fit`."""

import re
from typing import Any

import pytest

from experiments.config.trial import Trial
from experiments.main import main


class Stop(Exception):
    pass


@pytest.mark.parametrize("begin", [0, 6000])
def test_the_bar_tells_the_true_speed_and_the_true_time_left(
    begin: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training, perhaps resumed, goes now faster, now slower, and stands still at times, as it does to validate."""
    now = 1000.0
    monkeypatch.setattr("time.time", lambda: now)
    monkeypatch.setattr("tqdm.std.time", lambda: now)

    def run_trial(trial: Trial, folder: Any, report: Any) -> None:
        nonlocal now
        for step in range(begin + 1, begin + 8001):
            now += (0.015, 0.02, 0.03)[step // 350 % 3] if step % 200 else 1.0
            report(step / 16000, "")
        report(1.0, "evaluating")
        now += 60
        report(1.0, "decoding")
        raise Stop

    monkeypatch.setattr("experiments.verbs.fit.run_trial", run_trial)
    with pytest.raises(Stop):
        main(["fit", "--model", "GRU", "--trainer.max_steps", "16000"])
    shown = capsys.readouterr().err
    bars = re.findall(r"(\d+)/16000 \[(\d+):(\d+)<(\d+):(\d+), +([\d.]+)step/s", shown)
    assert len(bars) > 10
    for steps, minutes, seconds, left_minutes, left_seconds, rate in bars[2:]:
        truth = (int(steps) - begin) / (60 * int(minutes) + int(seconds))
        assert float(rate) == pytest.approx(truth, rel=0.2)
        assert 60 * int(left_minutes) + int(left_seconds) == pytest.approx((16000 - int(steps)) / truth, rel=0.2)
    evaluation = shown[shown.index("decoding") - 60 :]
    assert "16000/16000 [" in evaluation and "step/s" not in evaluation and "s/step" not in evaluation
