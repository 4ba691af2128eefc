"""Tests of sweep files, workers and Ray. Begin with test_sweep.py."""
