"""Numbers from attention: word_alignments.py has links between words and the way from pieces to words, antecedents.py
whether a word looks at the one that it stands for.
"""
