"""Work that tests give to other processes: a browser, jobs for workers, a sweep whose workers are killed, a sweep of
many trials whose memory is measured. Begin with workers.py.
"""
