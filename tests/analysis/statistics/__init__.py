"""Tests of intervals, comparisons and fits, against formulas, simulations and other libraries. Begin with
test_intervals.py.
"""
