"""Figures against length: accuracy, bits and BLEU, and what stands behind them: positions, capacity, learning curves.
Begin with accuracy.py, the bottleneck itself.
"""
