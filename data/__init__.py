"""The one DataModule of the suite and what feeds it."""
