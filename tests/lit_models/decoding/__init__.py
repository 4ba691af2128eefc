"""Tests of decoding, against exhaustive search over small vocabularies. Begin with test_search.py."""
