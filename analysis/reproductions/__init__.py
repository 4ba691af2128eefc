"""Published results beside those measured here: begin with published.py, which says what a reproduction consists of;
observations.py reads what was measured, rules.py compares, page.py and figure.py show it.
"""
