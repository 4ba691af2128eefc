"""What the numbers say of the claims: the rules that turn statistics into verdicts, and statements on gradient flow
and on length. Begin with verdicts.py, which has every rule of the three claims in one place.
"""
