"""A trial in W&B: what its run shows, and samples, attention maps and artifacts. Begin with wandb_run.py;
docs/wandb.md describes the run.
"""
