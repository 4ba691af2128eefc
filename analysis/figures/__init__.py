"""The figures, in files and folders by what they are about. A figure is a function from tables to a Chart that
registers itself; what figures share (style, panels, lines, axes) stands beside this page. Begin with
length/accuracy.py, the figure of the bottleneck, and registry.py, how a report finds it.
"""
