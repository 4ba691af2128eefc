"""Layers that several architectures share. Begin with cells.py, the steps of RNN, LSTM and GRU beside their equations,
and attention.py, the alignment scores beside theirs; recurrent.py stacks the cells and recurrent_seq2seq.py is the
encoder of all recurrent models. scan.py takes recurrences that are linear in their state over all steps at once.
transformer_layers.py and positions.py are what transformers are made of, transformer_seq2seq.py what they share.
"""
