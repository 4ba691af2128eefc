"""Tests of reading and exporting tables, damaged ones included. Begin with test_trial_folders.py."""
