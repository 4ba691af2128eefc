"""A stand-in for the W&B server, begin with `wandb_server` in server.py; what it knows and answers is in state.py."""
