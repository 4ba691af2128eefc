"""Tests of `lengthwise gradients` and `lengthwise parallelism`, and of gradient flow measured while training."""
