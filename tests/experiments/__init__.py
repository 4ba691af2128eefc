"""Tests of what is run, folder by folder. Begin with trial/test_trial.py."""
