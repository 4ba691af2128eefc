"""Errors that are the user's to mend: shown as one line, never as a traceback."""

from analysis.errors import ReportError


class UsageError(ReportError):
    """Bad input. The message is one line that names the option, file or key and says what to do."""
