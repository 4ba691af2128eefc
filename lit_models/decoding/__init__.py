"""Free-running decoding, written once against the contract that every architecture keeps: greedy, sampling, beam
search, minimum Bayes risk. Begin with search.py.
"""
