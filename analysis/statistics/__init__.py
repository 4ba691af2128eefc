"""Numbers from tables: means over seeds, intervals, bootstraps, paired comparisons and fits. Begin with summaries.py,
the means over seeds that figures and tables start from, and intervals.py, the intervals beside them. comparisons.py has
trials on text, pairs.py attention against fixed contexts, the files of fits what lies behind curves; words.py prints.
"""
