"""From finished trials to figures, tables and verdicts; never trains, and imports neither torch nor the models. The
data go one way, tables → statistics → claims → figures → report, and a folder imports only from those before it. Begin
with report/command.py, which is `lengthwise report` from end to end.
"""
