"""Layers that several architectures share. Begin with attention.py, the alignment scores beside their equations, and
recurrent.py, the encoder of all recurrent models.
"""
