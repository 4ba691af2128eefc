"""Word vectors of plain text, by GloVe or by gensim's word2vec. Begin with glove.py; vector_file.py reads and writes
them as text.
"""
