"""Tests of the probes, against models whose gradients and depths are known. Begin with test_gradient_flow.py."""
