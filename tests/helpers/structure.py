"""What the folders and imports of the code look like, read from the files without running them."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("analysis", "benchmarks", "data", "experiments", "lit_models")
MOST_FILES = 12  # Python files of a folder, its __init__.py included
MOST_LINES = 400

# What a package may import of the others; lit_models knows of the data only what a batch is.
ALLOWED = {
    "analysis": {"analysis"},
    "benchmarks": {"analysis", "benchmarks", "data", "experiments", "lit_models"},
    "data": {"data"},
    "experiments": {"analysis", "data", "experiments", "lit_models"},
    "lit_models": {"data.batch", "lit_models"},
}
# The way of the data through analysis: a part imports those before it. What is not named here comes first of all.
ORDER = ("tables", "statistics", "claims", "figures", "report", "reproductions")
# Reading tables must not wait for torch.
FOREIGN = {"analysis": {"lightning", "pytorch_lightning", "torch"}}


def modules(root: Path) -> dict[str, Path]:
    """The file of every module of the packages below `root`, by its dotted name."""
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports(root: Path) -> dict[str, set[str]]:
    """What every module imports, by dotted name: modules of the packages, and the top names of all others.

    Imports inside functions, under TYPE_CHECKING and through `importlib.import_module` count too: of a name that
    is put together, as in `import_module(f"experiments.verbs.{verb}")`, all modules that begin so, and where the
    name is looked up, as in `import_module(MODULES[verb])`, all modules that the file names in strings.
    """
    files = modules(root)
    return {name: set(_imported(name, path, files)) - {name} for name, path in files.items()}


def _imported(name: str, path: Path, files: dict[str, Path]) -> Iterator[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for node in nodes:
        match node:
            case ast.Import(names=aliases):
                yield from (_module(alias.name, files) for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                base = ".".join(filter(None, [_package(name, path, level), module]))
                yield from (_module(f"{base}.{alias.name}", files) for alias in aliases)
            case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[first, *_]):
                yield from _named_by(first, files, strings)


def _package(name: str, path: Path, level: int) -> str:
    """The package that a relative import with so many dots begins at."""
    if level == 0:
        return ""
    parts = name.split(".")
    return ".".join(parts[: len(parts) - level + (path.name == "__init__.py")])


def _module(name: str, files: dict[str, Path]) -> str:
    """The module that holds an imported name, or the top name of what is no module of ours."""
    while name not in files and "." in name:
        name = name.rpartition(".")[0]
    return name


def _named_by(argument: ast.expr, files: dict[str, Path], strings: set[str]) -> Iterator[str]:
    match argument:
        case ast.Constant(value=str(name)):
            yield _module(name, files)
        case ast.JoinedStr(values=[ast.Constant(value=str(beginning)), *_]):
            yield from (name for name in files if name.startswith(beginning))
        case _:
            yield from strings & files.keys()


def against_the_direction(root: Path) -> set[str]:
    """Every import that a package or a part of analysis may not make, as `importer -> imported`."""
    return {
        f"{importer} -> {imported}"
        for importer, all_imported in imports(root).items()
        for imported in all_imported
        if not _may_import(importer, imported)
    }


def _may_import(importer: str, imported: str) -> bool:
    package, other = importer.partition(".")[0], imported.partition(".")[0]
    if other not in PACKAGES:
        return other not in FOREIGN.get(package, set())
    if not ALLOWED[package] & {other, imported}:
        return False
    return not (package == other == "analysis" and _place(imported) > _place(importer))


def _place(name: str) -> int:
    """How far on the way of the data a module of analysis stands."""
    part = name.split(".")[1] if "." in name else ""
    return ORDER.index(part) + 1 if part in ORDER else 0


def cycles(root: Path) -> set[str]:
    """Groups of modules that import each other, directly or by way of others, as `one, two`."""
    imports_of = imports(root)
    graph = {name: imported & imports_of.keys() for name, imported in imports_of.items()}
    reachable = {name: _reachable(name, graph) for name in graph}
    groups = {frozenset(other for other in reachable[name] if name in reachable[other]) for name in graph}
    return {", ".join(sorted(group)) for group in groups if group}


def _reachable(name: str, graph: dict[str, set[str]]) -> set[str]:
    """Every module that a module imports, directly or by way of others; itself only where it stands on a cycle."""
    seen: set[str] = set()
    waiting = [*graph[name]]
    while waiting:
        imported = waiting.pop()
        if imported not in seen:
            seen.add(imported)
            waiting.extend(graph[imported])
    return seen


def crowded_folders(root: Path, top: tuple[str, ...] = (*PACKAGES, "tests")) -> set[str]:
    """Folders with more than a dozen Python files."""
    folders = {path.parent for path in _python_files(root, top)}
    return {folder.relative_to(root).as_posix() for folder in folders if len(list(folder.glob("*.py"))) > MOST_FILES}


def long_files(root: Path, top: tuple[str, ...] = (*PACKAGES, "docs", "tests")) -> set[str]:
    """Python files of more than 400 lines."""
    return {
        path.relative_to(root).as_posix()
        for path in _python_files(root, top)
        if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }


def unexplained_folders(root: Path, top: tuple[str, ...] = (*PACKAGES, "tests")) -> set[str]:
    """Folders with Python files whose `__init__.py` is missing or does not say in one paragraph what they are for."""
    folders = {path.parent for path in _python_files(root, top)}
    return {folder.relative_to(root).as_posix() for folder in folders if not _explains(folder / "__init__.py")}


def _explains(path: Path) -> bool:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else None
    return docstring is not None and docstring.strip() != "" and "\n\n" not in docstring


def _python_files(root: Path, top: tuple[str, ...]) -> list[Path]:
    return [path for folder in top for path in sorted((root / folder).rglob("*.py"))]
