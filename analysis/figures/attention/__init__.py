"""Figures of attention: heatmaps with the words or symbols on both axes. Begin with alignments.py; sentences.py chooses
the sentences, and heatmaps.py draws them.
"""
