"""What something was measured with: environment.json beside it."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from analysis.tables.schema import ENVIRONMENT
from experiments.files import write_json
from experiments.machine import processor

PACKAGES = ("lengthwise", "torch", "lightning", "torchmetrics", "numpy")


def device_name(device: torch.device) -> str:
    """`cpu`, or the accelerator's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def graphics_cards() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them. None of them is used by asking."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def set_arithmetic(tf32: bool = False, deterministic: bool = False) -> None:
    """Say how a GPU computes in single precision, the same in all layers. By default torch rounds the factors in
    cuDNN's recurrent layers and convolutions to TF32, and in other products not.

    Args:
        tf32: whether products round their factors to 10 bits of mantissa, which is faster.
        deterministic: whether the same trial gives the same bits again; what cannot is refused.
    """
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.use_deterministic_algorithms(deterministic)
    if deterministic:
        torch.backends.cudnn.benchmark = False
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when the GPU is first used


def write_environment(folder: Path, device: str) -> None:
    """Write environment.json, whole or not at all.

    Args:
        folder: of what is measured.
        device: the name of what the numbers are computed on.

    Raises:
        OSError: the folder cannot be written.
    """
    write_json(folder / ENVIRONMENT.file, _environment(device))


def _environment(device: str) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "device": device,
        "threads": torch.get_num_threads(),
        "commit": _commit(),
        "packages": {package: version(package) for package in PACKAGES},
    }


def _commit() -> str | None:
    """The commit of the code, with a plus sign where it was changed since; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
