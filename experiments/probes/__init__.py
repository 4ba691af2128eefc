"""Measuring what training alone does not show: gradient flow while a model trains, and the time and memory of a
training step. Begin with gradient_callback.py, or timing.py for the cost of a step.
"""
