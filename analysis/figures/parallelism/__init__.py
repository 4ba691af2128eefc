"""Figures of training-time parallelism: counted operations and timed steps. Begin with step_cost.py."""
