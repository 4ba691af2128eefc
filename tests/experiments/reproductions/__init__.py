"""Tests of the files of reproductions. Begin with test_reproduction_file.py."""
