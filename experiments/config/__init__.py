"""The options of a trial: the parser that reads them from YAML and the command line, what is refused and in which
words, and the help. Begin with parser.py.
"""
