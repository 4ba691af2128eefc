"""The figures, by what they are about: each is a function from tables to a figure and the points it shows. Begin with
style.py, how an architecture looks everywhere, and length/accuracy.py, the figure of the bottleneck.
"""
