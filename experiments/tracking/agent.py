"""The W&B agent that started this process, if one did."""

import os

_PARENT = os.getppid()  # as it was at the start


def in_sweep() -> bool:
    """Whether a W&B agent started this process and waits for its run."""
    return "WANDB_SWEEP_ID" in os.environ


def agent_is_gone() -> bool:
    """Whether the process that started this one has ended."""
    return os.getppid() != _PARENT
