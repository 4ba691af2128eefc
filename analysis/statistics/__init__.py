"""Numbers from tables: means over seeds, intervals, paired comparisons, fitted laws. Begin with summaries.py, the
means over seeds that figures and tables start from, and intervals.py, the intervals beside them.
"""
