"""Reading parallel text: one segment a line, checked line by line before anything is trained on it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

BadLines = Literal["refuse", "drop"]
MARK = b"\xef\xbb\xbf"  # that some editors put at the beginning of a file; no text
Form = Literal["pairs", "sentences", "labels"]  # what a line is: half of a pair, a sentence, a text with its label
HEADER = (b"text", b"label")  # of a file of labels
NAMED_PLACES = 3  # places of each kind of problem that a message names


@dataclass(frozen=True)
class ParallelFiles:
    """Where the pairs of a split stand.

    Attributes:
        source: a text file or several, one segment a line; without `target` tab-separated files, source first. None
            where only the target was named, which `pairs` refuses.
        target: as many text files, line n matching line n of the source.
    """

    source: list[str] | str | None
    target: list[str] | str | None = None

    def pairs(self, option: str) -> list[tuple[Path, Path | None]]:
        """Each source file with its target file.

        Raises:
            ValueError: files are missing or do not come in pairs; the message begins with the option.
        """
        sources = [self.source] if isinstance(self.source, str) else list(self.source or [])
        targets = [self.target] if isinstance(self.target, str) else list(self.target or [])
        if not sources:
            raise ValueError(f"{option}.source: names no file")
        if targets and len(targets) != len(sources):
            raise ValueError(
                f"{option}.target: {len(targets)} files do not match the {len(sources)} of {option}.source"
            )
        for side, paths in (("source", sources), ("target", targets)):
            for path in paths:
                if not Path(path).is_file():
                    raise ValueError(f"{option}.{side}: {path} does not exist or is no file")
        return [(Path(source), Path(targets[i]) if targets else None) for i, source in enumerate(sources)]


@dataclass
class Problems:
    """Lines that cannot be used, by kind, each with the places it was seen at."""

    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        """Note a problem at `file:line`."""
        self.places.setdefault(kind, []).append(place)

    def counts(self) -> dict[str, int]:
        """How many lines have each kind of problem."""
        return {kind: len(places) for kind, places in self.places.items()}

    def __str__(self) -> str:
        """`2 empty (a.en:3, a.en:9), 1 invalid UTF-8 (a.de:7)`"""
        parts = []
        for kind, places in self.places.items():
            shown = ", ".join(places[:NAMED_PLACES]) + (", …" if len(places) > NAMED_PLACES else "")
            parts.append(f"{len(places):,} {kind} ({shown})")
        return ", ".join(parts)


@dataclass(frozen=True)
class ParallelText:
    """Pairs of segments.

    Attributes:
        source: N segments.
        target: N segments.
        places: N texts `file:line` that say where each pair's source stands.
        problems: what was dropped.
    """

    source: list[str]
    target: list[str]
    places: list[str]
    problems: Problems

    def __len__(self) -> int:
        return len(self.source)

    def keep(self, rows: list[int]) -> "ParallelText":
        """Only the given pairs."""
        return ParallelText(
            [self.source[row] for row in rows],
            [self.target[row] for row in rows],
            [self.places[row] for row in rows],
            self.problems,
        )


def read_parallel(files: ParallelFiles, option: str, bad_lines: BadLines, form: Form = "pairs") -> ParallelText:
    """Read the pairs of a split.

    A pair is bad if either side is empty, is not UTF-8 or holds a carriage return, or if a tab-separated line does
    not have exactly two fields. Of sentences alone each is its own target; a file of labels is tab-separated and
    begins with the line `text<TAB>label`.

    Args:
        files: where they stand.
        option: the option that named them, such as `data.train`, for messages.
        bad_lines: refuse the files, or drop bad pairs and count them.
        form: what a line is.

    Raises:
        ValueError: missing files, different numbers of lines, no pair left, or, where they are refused, bad lines.
            The message is one line and names file and line.
    """
    source, target, places, problems = [], [], [], Problems()
    if form != "pairs" and files.target is not None:
        kind = "tab-separated text and label" if form == "labels" else "sentences alone"
        raise ValueError(f"{option}.target: the task reads {kind}, from {option}.source; leave the option out")
    for source_path, target_path in files.pairs(option):
        source_lines, skipped = _lines(source_path, option), 0
        if target_path is None:
            names = (source_path, source_path)
            if form == "labels":
                source_lines, skipped = _without_header(source_lines, f"{option}: {source_path}:1"), 1
            pairs = [(line, line) if form == "sentences" else _fields(line) for line in source_lines]
        else:
            target_lines = _lines(target_path, option)
            if len(source_lines) != len(target_lines):
                raise ValueError(
                    f"{option}: {source_path} has {len(source_lines):,} lines and {target_path} "
                    f"{len(target_lines):,}; line n of one must match line n of the other"
                )
            pairs = list(zip(source_lines, target_lines, strict=True))
            names = (source_path, target_path)
        for number, pair in enumerate(pairs, start=1 + skipped):
            texts = _texts_of(pair, names, number, problems)
            if texts is not None:
                source.append(texts[0])
                target.append(texts[1])
                places.append(f"{source_path}:{number}")
    if problems.places and bad_lines == "refuse":
        raise ValueError(f"{option}: bad lines: {problems}; mend them, or let --data.bad_lines drop leave them out")
    if not source:
        raise ValueError(f"{option}: no pair of segments is left" + (f" of {problems}" if problems.places else ""))
    return ParallelText(source, target, places, problems)


def text_of(line: bytes) -> str:
    """What a line says: blanks around it are no text.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    return line.decode("utf-8").strip(" \t")


def _lines(path: Path, option: str) -> list[bytes]:
    """Lines end at line feeds and nowhere else; the mark that some editors put at the beginning is no text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{option}: {path} cannot be read: {error.strerror}") from None
    lines = content.removeprefix(MARK).split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _without_header(lines: list[bytes], place: str) -> list[bytes]:
    """The lines of a file of labels.

    Raises:
        ValueError: the first is not the header.
    """
    if not lines or _fields(lines[0].rstrip(b"\r")) != HEADER:
        found = lines[0].decode("utf-8", errors="replace")[:40] if lines else "an empty file"
        raise ValueError(f"{place}: the first line must be text<TAB>label, and is {found!r}")
    return lines[1:]


def _fields(line: bytes) -> tuple[bytes, ...]:
    return tuple(line.split(b"\t"))


def _texts_of(
    pair: tuple[bytes, ...], paths: tuple[Path, Path], number: int, problems: Problems
) -> tuple[str, str] | None:
    """The texts of a pair; None, with a note, where it cannot be used."""
    if len(pair) != 2:
        problems.add(f"with {len(pair)} instead of 2 tab-separated fields", f"{paths[0]}:{number}")
        return None
    texts = []
    for line, path in zip(pair, paths, strict=True):
        try:
            text = text_of(line)
        except UnicodeDecodeError:
            problems.add("invalid UTF-8", f"{path}:{number}")
            return None
        if "\r" in text:
            problems.add("with a carriage return", f"{path}:{number}")
            return None
        if not text.strip():
            problems.add("empty", f"{path}:{number}")
            return None
        texts.append(text)
    return texts[0], texts[1]
