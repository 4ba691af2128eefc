"""Figures of attention: heatmaps with the words or symbols on both axes. Begin with alignments.py, which
chooses the sentences; heatmaps.py draws them.
"""
