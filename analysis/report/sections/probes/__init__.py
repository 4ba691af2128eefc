"""The sections of the report on what probes measure beside training, a file a probe."""
