"""Published results, one YAML file each, that `lengthwise reproduce` measures; reproduction_file.py reads and checks
them. docs/reproductions.md says how to write one.
"""
