"""What the suite knows of the machine, and asks of its memory."""

import platform
import subprocess
import sys

import pytest

from experiments.machine import available_cores, processor

PAGES_OF_FREED_TENSORS = """
import resource
import torch
from experiments.machine import keep_freed_memory

def pages_fetched():
    torch.empty(10_000_000).fill_(1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):
        torch.empty(10_000_000).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(pages_fetched())
keep_freed_memory()
print(pages_fetched())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about the GNU C library")
def test_freed_memory_is_kept_for_the_next_tensor() -> None:
    command = [sys.executable, "-c", PAGES_OF_FREED_TENSORS]
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    otherwise, kept = map(int, done.stdout.split())
    assert kept < 0.3 * otherwise


def test_there_is_a_core_and_a_processor() -> None:
    assert available_cores() >= 1
    assert processor()
