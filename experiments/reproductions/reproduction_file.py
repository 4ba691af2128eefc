"""Reading the file of a reproduction: what was published, what is claimed, and the sweep or probe that measures it."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from analysis.reproductions.published import (
    INFINITE,
    Line,
    Published,
    PublishedPoint,
    Reference,
    Reproduction,
    Rule,
)
from analysis.tables.schema import EMBEDDING_GRADIENT
from experiments.config.monitors import MODES, TEST_ALONE
from experiments.errors import UsageError, refuse_unknown
from experiments.sweep.sweep_file import checked_sweep
from experiments.yaml_files import load_yaml

FOLDER = Path(__file__).parent
SIZES = ("small", "paper")
TEXTS = ("title", "differs", "cost", "measure", "metric", "x", "axis")
REQUIRED = ("title", "source", "differs", "cost", "measure", "metric", "x", "axis", "lines", "claims")
OPTIONAL = ("tried", "lengths", "seeds", "steps", "published", "sweep", "probe", "paper")
CHOICES = {"seeds": ("mean", "best"), "steps": ("until-converged", "fixed")}
PROBES = ("gradients", "parallelism")  # verbs, and what their tables are called
READ = ("from a table", "from the text", "from a curve", "second-hand")
KINDS = ("order", "number", "ratio", "crossing")
CLAIM = ("says", *KINDS, "between", "neutral", "level")
# What a horizontal axis can be, and the metrics there are, by where the numbers come from.
AXES = {
    "trials": r"length|model\.\w+|data\.(length|min_length|vocabulary)",
    "gradients": "distance",
    "parallelism": "length",
}
METRICS = {
    "trials": (*MODES, *TEST_ALONE),
    "gradients": (EMBEDDING_GRADIENT,),
    "parallelism": ("sequential_depth", "path_length"),
}
SETTING = re.compile(r"model(\.\w+)?|data\.(task|length|min_length|vocabulary)|metric")
REFERENCE = re.compile(r"(?P<line>.+) (?:at (?P<at>[\d.]+)|over (?P<first>[\d.]+)-(?P<last>[\d.]+))")


def names() -> list[str]:
    """The reproductions that come with the suite."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find(name: str) -> Path:
    """The file of a reproduction, by its name, or a file of one's own, by its path.

    Raises:
        UsageError: there is none.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"'{name}' is no reproduction; {hint}They are {', '.join(names())}")
    return FOLDER / f"{name}.yaml"


def read_reproduction(path: Path, size: str = "small") -> Reproduction:
    """Read and check the file of a reproduction.

    Args:
        path: of the file.
        size: small, or paper, which is what the file's key `paper` changes of it.

    Raises:
        UsageError: one line that names the file and the key.
    """
    content = load_yaml(path, f"not a reproduction; it needs the keys {', '.join(REQUIRED)}")
    refuse_unknown(path, "key", content, (*REQUIRED, *OPTIONAL))
    changes = _mapping(path, "paper", content.pop("paper", {}))
    refuse_unknown(path, "paper: key", changes, (*REQUIRED, *OPTIONAL[:-1]))
    if size == "paper":
        content = _changed(path, content, changes)
    for key in REQUIRED:
        if key not in content:
            raise UsageError(f"{path}: {key}: missing")
    for key in TEXTS:
        _text(path, key, content[key])
    for key, choices in CHOICES.items():
        if content.setdefault(key, choices[0]) not in choices:
            raise UsageError(f"{path}: {key}: {content[key]!r} is not one of {', '.join(choices)}")
    source = _mapping(path, "source", content["source"])
    refuse_unknown(path, "source: key", source, ("paper", "where", "link"))
    lines = _lines(path, content["lines"], content["metric"])
    claims = _list(path, "claims", content["claims"])
    if not claims:
        raise UsageError(f"{path}: claims: give at least one")
    known = {line.name: line for line in lines}
    table, sweep, probe = _measurement(path, content)
    if not re.fullmatch(AXES[table], content["x"]):
        wanted = "length or an option, such as model.hidden_size" if table == "trials" else AXES[table]
        raise UsageError(f"{path}: x: {content['x']} is no axis here; give {wanted}")
    for key, metric in [("metric", content["metric"]), *((f"lines.{line.name}.metric", line.metric) for line in lines)]:
        refuse_unknown(path, f"{key}:", [metric], METRICS[table])
    return Reproduction(
        name=path.stem,
        size=size,
        **{key: content[key] for key in TEXTS if key != "metric"},
        **{key: _text(path, f"source.{key}", source.get(key)) for key in ("paper", "where", "link")},
        tried=_text(path, "tried", content.get("tried", "-")).strip("-"),
        lengths=tuple(_number(path, "lengths", one) for one in _list(path, "lengths", content.get("lengths", []))),
        table=table,
        best=content["seeds"] == "best",
        fixed_steps=content["steps"] == "fixed",
        lines=tuple(lines),
        published=_published(path, content.get("published"), known),
        rules=tuple(_rule(path, f"claims[{n}]", claim, known) for n, claim in enumerate(claims, start=1)),
        sweep=sweep,
        probe=probe,
    )


def _changed(path: Path, content: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The content with the changes of another size: of a sweep each parameter, of anything else the whole key."""
    sweep = dict(content.get("sweep") or {})
    if "sweep" in changes:
        changed = _mapping(path, "paper.sweep", changes["sweep"])
        parameters = {
            **sweep.get("parameters", {}),
            **_mapping(path, "paper.sweep.parameters", changed.get("parameters", {})),
        }
        sweep |= {**changed, "parameters": {name: value for name, value in parameters.items() if value is not None}}
    return {**content, **changes, **({"sweep": sweep} if sweep else {})}


def _measurement(path: Path, content: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], tuple[str, ...]]:
    """The table that holds the numbers, and the sweep or the probe that fills it."""
    if ("sweep" in content) == ("probe" in content):
        raise UsageError(f"{path}: give either sweep or probe")
    if "sweep" in content:
        sweep = _mapping(path, "sweep", content["sweep"])
        checked_sweep(Path(f"{path}: sweep"), dict(sweep))
        return "trials", sweep, ()
    probe = content["probe"]
    if not isinstance(probe, list) or not probe or probe[0] not in PROBES:
        raise UsageError(f"{path}: probe: give a list of words that begins with {' or '.join(PROBES)}")
    return probe[0], {}, tuple(map(str, probe))


def _lines(path: Path, block: Any, metric: str) -> list[Line]:
    lines = []
    for name, settings in _mapping(path, "lines", block).items():
        where = f"lines.{name}"
        settings = dict(_mapping(path, where, settings))
        for key in settings:
            if not SETTING.fullmatch(str(key)):
                raise UsageError(
                    f"{path}: {where}: {key} is no setting of a line; give model, model.OPTION, data.task, "
                    "data.length, data.min_length, data.vocabulary or metric"
                )
        if "model" not in settings:
            raise UsageError(f"{path}: {where}: model: missing")
        lines.append(Line(str(name), settings, str(settings.pop("metric", metric))))
    return lines


def _published(path: Path, block: Any, lines: Mapping[str, Line]) -> Published:
    if block is None:  # a paper whose claim is a direction
        return Published("", "", 0.0, ())
    block = _mapping(path, "published", block)
    refuse_unknown(path, "published: key", block, ("read", "measure", "error", "points"))
    if _text(path, "published.read", block.get("read")) not in READ:
        raise UsageError(f"{path}: published.read: {block['read']!r} is not one of {', '.join(READ)}")
    if block["read"] == READ[2] and "error" not in block:
        raise UsageError(f"{path}: published.error: missing; say how well the curve could be read")
    return Published(
        block["read"],
        str(block.get("measure", "")),
        _number(path, "published.error", block.get("error", 0.0)),
        tuple(_published_points(path, block.get("points"), lines)),
    )


def _published_points(path: Path, points: Any, lines: Mapping[str, Line]) -> Iterator[PublishedPoint]:
    for number, point in enumerate(_list(path, "published.points", points), start=1):
        where = f"published.points[{number}]"
        point = _mapping(path, where, point)
        refuse_unknown(path, f"{where}: key", point, ("line", "x", "value"))
        _known_line(path, where, point.get("line"), lines)
        x = None if point.get("x") is None else _number(path, f"{where}.x", point["x"])
        yield PublishedPoint(point["line"], x, _number(path, f"{where}.value", point.get("value")))


def _rule(path: Path, where: str, claim: Any, lines: Mapping[str, Line]) -> Rule:
    claim = _mapping(path, where, claim)
    refuse_unknown(path, f"{where}: key", claim, CLAIM)
    kinds = [kind for kind in KINDS if kind in claim]
    if len(kinds) != 1:
        raise UsageError(f"{path}: {where}: give one of {', '.join(KINDS)}")
    [kind] = kinds
    given = claim[kind] if isinstance(claim[kind], list) else [claim[kind]]
    wanted = {"order": len(given) > 1, "ratio": len(given) == 2}.get(kind, len(given) == 1)
    if not wanted:
        numbers = {"order": "at least two numbers", "ratio": "two numbers"}.get(kind, "one number")
        raise UsageError(f"{path}: {where}.{kind}: give {numbers}")
    rule: dict[str, Any] = {"says": _text(path, f"{where}.says", claim.get("says")), "kind": kind}
    if kind == "crossing":
        _known_line(path, f"{where}.crossing", given[0], lines)
        rule |= {"of": (Reference(given[0], given[0], -INFINITE, INFINITE),)}
        rule |= {"level": _number(path, f"{where}.level", claim.get("level"))}
    else:
        rule |= {"of": tuple(_reference(path, f"{where}.{kind}", one, lines) for one in given)}
    if kind != "order":
        rule |= dict(zip(("least", "most"), _between(path, f"{where}.between", claim.get("between")), strict=True))
    if "neutral" in claim:
        rule |= {"neutral": _number(path, f"{where}.neutral", claim["neutral"])}
    return Rule(**rule)


def _reference(path: Path, where: str, text: Any, lines: Mapping[str, Line]) -> Reference:
    found = REFERENCE.fullmatch(str(text))
    if not found:
        raise UsageError(f"{path}: {where}: {text!r} is neither LINE at PLACE nor LINE over FIRST-LAST")
    _known_line(path, where, found["line"], lines)
    first, last = (found["at"],) * 2 if found["at"] else (found["first"], found["last"])
    return Reference(found[0], found["line"], _number(path, where, float(first)), _number(path, where, float(last)))


def _known_line(path: Path, where: str, name: Any, lines: Mapping[str, Line]) -> None:
    if name not in lines:
        raise UsageError(f"{path}: {where}: {name!r} is not one of the lines {', '.join(lines)}")


def _between(path: Path, where: str, ends: Any) -> tuple[float, float]:
    """The ends of a range, of which one may be open."""
    if not isinstance(ends, list) or len(ends) != 2 or ends == [None, None]:
        raise UsageError(f"{path}: {where}: give [LEAST, MOST]; one of them may be null")
    least = -INFINITE if ends[0] is None else _number(path, where, ends[0])
    most = INFINITE if ends[1] is None else _number(path, where, ends[1])
    if least > most:
        raise UsageError(f"{path}: {where}: {least:g} is above {most:g}")
    return least, most


def _mapping(path: Path, key: str, value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{path}: {key}: {value!r} is no mapping of keys to values")
    return value


def _list(path: Path, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UsageError(f"{path}: {key}: {'missing' if value is None else f'{value!r} is no list'}")
    return value


def _text(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{path}: {key}: {'missing' if value is None else f'{value!r} is no text'}")
    return " ".join(value.split())


def _number(path: Path, key: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UsageError(f"{path}: {key}: {'missing' if value is None else f'{value!r} is no number'}")
    return float(value)
