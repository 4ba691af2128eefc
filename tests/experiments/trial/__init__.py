"""Tests of a trial from its options to its folder, also where it is killed, damaged or continued. Begin with
test_trial.py.
"""
