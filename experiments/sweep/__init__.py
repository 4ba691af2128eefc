"""Many trials from one W&B sweep file, run here by worker processes or by Ray. Begin with sweep_file.py, which reads
the file into trials; workers.py runs them.
"""
