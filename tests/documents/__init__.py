"""Tests of the pages: commands, links, figures and committed tables are what the text says; and of the structure of
the code. Begin with test_readme.py.
"""
