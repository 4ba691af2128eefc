"""Every test runs small, on the CPU, offline, and leaves nothing behind."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _small_and_offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
