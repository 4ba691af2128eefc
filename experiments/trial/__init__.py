"""A trial is one configuration run once, in a folder of its own that docs/results.md describes: how it is resolved,
trained, evaluated, stopped and continued. Begin with trial.py.
"""
