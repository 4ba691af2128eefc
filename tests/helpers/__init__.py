"""What tests share, and the only place they import from: small trials and models, made-up tables, stand-ins for
servers. Begin with trials.py for what is run, analysis_tables.py for what a report is made from.
"""
