"""Figures of training-time parallelism: counted operations, timed steps and speed-ups. Begin with step_cost.py."""
