"""Reading checkpoints, without running anything they contain."""

from pathlib import Path

import torch

from experiments.errors import UsageError
from lit_models import LitSeq2Seq


def load_weights(model: LitSeq2Seq, path: Path) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        UsageError: the file is missing, cannot be read, or belongs to another model.
    """
    if not path.is_file():
        raise UsageError(f"--checkpoint: {path} does not exist")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        raise UsageError(f"--checkpoint: {path} is not a readable checkpoint") from None
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise UsageError(f"--checkpoint: {path} is not a checkpoint of this suite")
    try:
        model.load_state_dict(content["state_dict"])
    except RuntimeError:
        raise UsageError(
            f"--checkpoint: {path} does not fit {type(model).__name__} with these options; "
            "it was trained with another configuration"
        ) from None
