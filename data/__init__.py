"""The one DataModule of the suite and what feeds it: tasks drawn from a seed, parallel text and its tokenizers,
batches. Begin with datamodule.py, whose options are those of `--data.…`, and batch.py, which is all that a model sees;
tasks.py has the synthetic tasks, symbol_tasks.py what those on symbols ask for, language/ those in words, text.py what
is read.
"""
