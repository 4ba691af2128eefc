"""Whether a claim holds: from numbers of analysis.statistics to answers. bottleneck.py, gradients.py, parallelism.py,
generalisation.py and pretraining.py have one claim each, text_length.py the part of the bottleneck that is judged on
text, remedies.py whether a remedy helps. Each rule stands in words, as the report prints it, directly above the
function that follows it. Begin with verdicts.py, which has the answers and the rules across settings and parts.
"""
