"""Tasks in words: sentences of a small grammar in which two words have to meet, so many words apart as one asks for.
Begin with sentences.py, which makes symbols of words; each other file is a task, or what several of them say in
between.
"""
