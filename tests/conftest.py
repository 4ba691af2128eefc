"""Every test runs small, on the CPU, offline, and leaves nothing behind."""

from pathlib import Path

import pytest
import torch

from tests.helpers.pretend_device import device

device()  # before anything calls backward


@pytest.fixture(autouse=True)
def _small_and_offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are made as ever, but an empty file stands for each drawing, which takes most of their time."""

    def leave_empty(_: object, path: Path, *__: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    monkeypatch.setattr("analysis.figures.chart.save_figure", leave_empty)
    monkeypatch.setattr("analysis.report.render.html.inline_svg", lambda figure, name: f"<svg>{name}</svg>")
