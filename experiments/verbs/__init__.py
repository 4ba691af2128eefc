"""One file a verb of `lengthwise`, each with its own options and a `main`. Begin with fit.py for one trial, sweep.py
for many.
"""
