"""Figures of gradient flow: against distance, over training, against the lag of a recall, and of remedies. Begin with
distance.py, the curve that the claim on vanishing gradients is about; norms.py holds what several share.
"""
