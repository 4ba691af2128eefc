"""Reading what trials and probes left, from their folders, from W&B or from exported plain tables, into checked pandas
tables; and exporting those again. Begin with evidence.py, which gathers all that a report is made from; everything
later asks it and opens no file of a trial itself.
"""
