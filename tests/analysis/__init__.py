"""Tests of analysis/, folder by folder, on made-up tables; the committed tables of docs/reference are tested in
documents/.
"""
