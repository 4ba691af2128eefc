"""The blocks of a report as Markdown, HTML, LaTeX or lines of a terminal, one file each. Begin with markdown.py."""
