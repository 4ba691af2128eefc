"""Tests of the scores of text."""
