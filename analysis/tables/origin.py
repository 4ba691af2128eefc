"""Where exported tables came from: origin.json beside them.

The keys are the fields of `Origin`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from analysis.errors import ReportError
from analysis.files import replacing
from analysis.tables.trial_folders import walk

FILE = "origin.json"


@dataclass(frozen=True)
class Origin:
    """What is known of how tables came about; what is not known is empty.

    Attributes:
        made_by: the commands that measured, as the user says them.
        exported_by: the command that wrote the tables.
        date: the day of that, such as 2026-11-21.
        commit: of the code that measured, as trials recorded it.
        device: the devices, as trials and timings recorded them.
        processor: the same of processors.
    """

    made_by: str
    exported_by: str
    date: str
    commit: tuple[str, ...]
    device: tuple[str, ...]
    processor: tuple[str, ...]

    def __str__(self) -> str:
        """One sentence, for a report."""
        machine = ", ".join([*self.processor, *self.device])
        said = [
            f"measured by `{self.made_by}`" if self.made_by else "",
            f"on {machine}" if machine else "",
            f"at commit {', '.join(self.commit)}" if self.commit else "",
            f"written on {self.date} by `{self.exported_by}`",
        ]
        return ", ".join(part for part in said if part)


def write_origin(folder: Path, origin: Origin) -> None:
    """Write origin.json.

    Raises:
        OSError: the folder cannot be written.
    """
    with replacing(folder / FILE) as temporary:
        temporary.write_text(json.dumps(asdict(origin), indent=2) + "\n", encoding="utf-8")


def read_origins(paths: Sequence[str | Path]) -> dict[Path, Origin]:
    """Every origin.json at or below the folders, by its folder.

    Raises:
        ReportError: a path that is no folder, or a file that does not say what it should.
    """
    found = walk(paths, "a folder of trials or of tables")
    return {folder: _read(folder / FILE) for folder, _, files in found if FILE in files}


def _read(path: Path) -> Origin:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        several = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
        return Origin(**content | several)
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        known = ", ".join(field.name for field in fields(Origin))
        raise ReportError(f"{path} is no JSON object with the keys {known}; export the tables again") from error
