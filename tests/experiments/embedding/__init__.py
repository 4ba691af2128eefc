"""Word vectors: GloVe against its paper, and their files."""
