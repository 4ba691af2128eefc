"""Tests of options and of the one line that bad input ends in. Begin with test_bad_input.py."""
