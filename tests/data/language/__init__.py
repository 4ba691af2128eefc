"""Tasks in words: each file checks one of them by rules of its own, test_sentences.py what all have in common."""
