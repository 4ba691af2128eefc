"""Tests of runs and sweeps in W&B, against a stand-in for its server. Begin with test_wandb_run.py."""
