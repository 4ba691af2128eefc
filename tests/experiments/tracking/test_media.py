"""Pictures in loggers name an architecture as every other figure does."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import WandbLogger

from experiments.tracking import media
from tests.helpers.trials import run, small_trial


def test_gradient_figures_name_an_architecture_as_its_summary_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = small_trial(tmp_path, gradients__every=20, model__dropout=0.0)
    summary = run(trial)
    summary["architecture"] |= {"display_name": "Newcomer's net"}
    legends: dict[str, list[str]] = {}
    draw = media.section_charts

    def remember(*args: Any, **tables: Any) -> Any:
        charts = draw(*args, **tables)
        for chart in charts:
            legends[chart.name] = [text.get_text() for legend in chart.figure.legends for text in legend.get_texts()]
        return charts

    monkeypatch.setattr(media, "section_charts", remember)
    monkeypatch.setattr(media, "_log_image", lambda *_: None)
    media.log_files(WandbLogger(offline=True), trial.folder, summary)
    assert "Newcomer's net" in legends["gradient_norm"]
