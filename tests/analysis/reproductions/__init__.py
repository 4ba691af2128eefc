"""Tests of rules on made-up measurements. Begin with test_rules.py."""
