"""The architectures, one file each. Begin with contract.py, what every architecture keeps; then read the architectures
in the order of their equations: vanilla_rnn.py, lstm.py, gru.py, bahdanau.py, luong.py, transformer.py; then
decoder_only.py and encoder_only.py, transformers of a single stack; min_gru.py, selective_ssm.py and delta_net.py,
recurrences that a scan trains. Every module of this package is imported, so a new file is a new architecture.
"""

import importlib
import inspect
import pkgutil

from lit_models.lit_module import LitSeq2Seq


def architectures() -> dict[str, type[LitSeq2Seq]]:
    """Every concrete architecture found in this package, by class name, in alphabetical order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    concrete, open_classes = {}, [LitSeq2Seq]
    while open_classes:
        subclasses = open_classes.pop().__subclasses__()
        open_classes.extend(subclasses)
        concrete.update(
            (subclass.__name__, subclass)
            for subclass in subclasses
            if not inspect.isabstract(subclass) and subclass.__module__.startswith(f"{__name__}.")
        )
    return dict(sorted(concrete.items()))
