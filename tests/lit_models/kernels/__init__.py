"""Tests that hold every kernel against its plain form."""
