"""From the options of a person, a file or a W&B agent to a resolved trial: how they are read, parsed, checked and
explained. Begin with trial.py, which gives a trial its configuration and its name; options.py reads what was given.
"""
