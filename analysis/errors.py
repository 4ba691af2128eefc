"""Errors that are the user's to mend: shown as one line, never as a traceback."""


class ReportError(Exception):
    """Bad input. The message is one line that names the file or folder and says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # what it quotes may have several
