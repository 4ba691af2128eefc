"""Tests of the figures: the points they show, and what is said of them. Begin with test_figures.py."""
