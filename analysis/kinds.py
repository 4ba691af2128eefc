"""Which architectures hand over one fixed vector, which attend, and which are neither known to do."""

FIXED = ("VanillaRNN", "LSTM", "GRU")
ATTENDING = ("Bahdanau", "LuongGlobal", "LuongLocal", "Transformer")


def fixed_context(arch: str) -> bool:
    """Whether an architecture, or a variant such as `GRU [hidden_size=64]`, sees the source as a single vector."""
    return arch.partition(" [")[0] in FIXED


def attending(arch: str) -> bool:
    """Whether an architecture, or a variant of it, attends to the source."""
    return arch.partition(" [")[0] in ATTENDING
