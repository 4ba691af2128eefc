"""The report of finished runs: sections of text, tables and figures, written as Markdown, HTML and LaTeX. Begin with
command.py, which is `lengthwise report`.
"""
