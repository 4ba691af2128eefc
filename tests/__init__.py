"""The tests, which mirror the folders of the code: read them as its specification. Begin with
lit_models/test_contract.py, what every architecture keeps, and documents/, which holds the README and the structure of
the code to their word; helpers/ has what tests share.
"""
