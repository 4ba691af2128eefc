"""What a trained model is tested on beside its loss: translations and their scores, sample outputs, attention. Begin
with text.py, the test split of a text task; translator.py turns text into text with any checkpoint.
"""
