"""Lightning's Trainer on the pretend device: `--trainer.accelerator=pretend`."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from lightning.pytorch.accelerators import Accelerator, AcceleratorRegistry
from lightning.pytorch.strategies import SingleDeviceStrategy, Strategy
from lightning.pytorch.trainer.connectors.accelerator_connector import _AcceleratorConnector

from tests.helpers.pretend_device import IS_REAL, NAME, Seen, device, pretend_device


class PretendAccelerator(Accelerator):
    """One device."""

    def setup_device(self, device: torch.device) -> None: ...

    def teardown(self) -> None: ...

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        return {}

    @staticmethod
    def parse_devices(devices: Any) -> list[int]:
        return [0]

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [device()]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return NAME


@contextlib.contextmanager
def pretend_trainer() -> Iterator[Seen]:
    """While this lasts a Trainer can take the accelerator `pretend`; or the card, which it knows."""
    if IS_REAL:
        with pretend_device() as seen:
            yield seen
        return
    choose = _AcceleratorConnector._choose_strategy

    def strategy(connector: Any) -> Strategy | str:
        if connector._accelerator_flag == NAME:
            return SingleDeviceStrategy(device=device())
        return choose(connector)

    AcceleratorRegistry.register(NAME, PretendAccelerator, override=True)
    try:
        with mock.patch.object(_AcceleratorConnector, "_choose_strategy", strategy), pretend_device() as seen:
            yield seen
    finally:
        AcceleratorRegistry.remove(NAME)
