"""The same numbers faster: each file has a fast form of one computation beside its plain form, and a test holds one
against the other. Read them last, the architectures can be understood without; unfused.py turns a model into its plain
form.
"""
