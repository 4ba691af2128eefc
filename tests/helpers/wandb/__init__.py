"""A stand-in for the W&B server. Begin with `wandb_server` in server.py, which speaks its protocol; what it knows and
answers is in state.py.
"""
