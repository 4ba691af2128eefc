"""Tests of the architectures: the contract of each, and parity with the equations written out as loops. Begin with
test_contract.py.
"""
