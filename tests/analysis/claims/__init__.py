"""Tests of the rules behind verdicts and statements. Begin with test_verdicts.py."""
