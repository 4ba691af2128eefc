"""Figures against length: accuracy and bits, BLEU, capacity, and the learning curves behind them. Begin with
accuracy.py, the bottleneck itself.
"""
