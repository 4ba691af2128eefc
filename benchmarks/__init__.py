"""How fast the suite trains and decodes, alone or beside another toolkit. Begin with training.py, which prints tokens
in a second; compare.py runs several commands in turn and sets their results beside each other.
"""
