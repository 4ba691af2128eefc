"""The sections of the report, found by their files. claims.py comes first in a report; probes/ has those of probes."""
