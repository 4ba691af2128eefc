"""The same numbers faster: each file has a fast form of one computation beside its plain form, and tests hold one
against the other. Read them last, the architectures can be understood without. choice.py is where fast or plain is
chosen.
"""
