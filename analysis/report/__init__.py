"""The report of finished runs. Each file of sections/ makes one section as a list of blocks (blocks.py): headings,
paragraphs, tables and figures. render/ writes the blocks as Markdown, HTML, LaTeX or lines of a terminal. Begin with
document.py, which puts the sections together; command.py is `lengthwise report`.
"""
