"""Which architectures hand over one fixed vector, which attend, which are neither known to do, and what tests it."""

FIXED = ("VanillaRNN", "LSTM", "GRU")
ATTENDING = ("Bahdanau", "LuongGlobal", "LuongLocal", "Transformer")

NO_BOTTLENECK = ("first-token-recall",)  # one symbol has to pass, however long the source is


def fixed_context(arch: str) -> bool:
    """Whether an architecture, or a variant such as `GRU [hidden_size=64]`, sees the source as a single vector."""
    return arch.partition(" [")[0] in FIXED


def attending(arch: str) -> bool:
    """Whether an architecture, or a variant of it, attends to the source."""
    return arch.partition(" [")[0] in ATTENDING
