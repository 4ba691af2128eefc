"""A trial is one configuration run once, in a folder of its own that docs/results.md describes: how it is trained,
evaluated, stopped and continued. Begin with run.py; config/trial.py says what a trial is.
"""
