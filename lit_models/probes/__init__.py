"""What can be read off a model's graph and gradients: how much of the learning signal reaches a source token, and how
many operations must follow each other. Begin with gradient_flow.py; sequential_depth.py counts, on a
model that unfused.py takes apart into single operations.
"""
