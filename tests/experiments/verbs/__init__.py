"""Tests of the verbs that take a checkpoint. Begin with test_translate.py."""
