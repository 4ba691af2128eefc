"""Tests of layers that architectures share."""
