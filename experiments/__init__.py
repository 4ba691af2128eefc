"""What is run: the command `lengthwise`, the trials and sweeps it starts, and their configurations. Begin with
main.py, which hands a verb to its file in verbs/; trial/ is one configuration run once, sweep/ many of them.
"""
