"""The folders show the way of the data: imports point one way, without cycles, and folders and files stay small."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.helpers.documents import ROOT
from tests.helpers.structure import (
    PACKAGES,
    against_the_direction,
    crowded_folders,
    cycles,
    imports,
    long_files,
    unexplained_folders,
)

# What does not yet keep the rules. An entry that keeps them again fails its test until it is taken out of the list.
KNOWN_AGAINST_THE_DIRECTION: set[str] = set()
KNOWN_CYCLES: set[str] = set()
KNOWN_CROWDED_FOLDERS: set[str] = {"lit_models"}  # each architecture is one file there
KNOWN_LONG_FILES: set[str] = set()


def test_no_import_goes_against_the_direction() -> None:
    assert against_the_direction(ROOT) == KNOWN_AGAINST_THE_DIRECTION


def test_no_modules_import_each_other() -> None:
    assert cycles(ROOT) == KNOWN_CYCLES


def test_no_folder_holds_more_than_a_dozen_python_files() -> None:
    assert crowded_folders(ROOT) == KNOWN_CROWDED_FOLDERS


def test_no_python_file_has_more_than_400_lines() -> None:
    assert long_files(ROOT) == KNOWN_LONG_FILES


def test_every_folder_says_in_one_paragraph_what_it_is_for() -> None:
    assert unexplained_folders(ROOT) == set()


def test_the_files_that_folders_name_exist() -> None:
    for page in sorted(path for package in (*PACKAGES, "tests") for path in (ROOT / package).rglob("__init__.py")):
        docstring = ast.get_docstring(ast.parse(page.read_text(encoding="utf-8"))) or ""
        for name in re.findall(r"[\w/]+\.(?:py|md)\b", docstring):
            assert any((folder / name).is_file() for folder in (page.parent, *page.parents[1:3], ROOT)), (page, name)


def test_every_file_that_is_no_module_is_packaged() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = [ROOT / pattern.removesuffix("*") for pattern in setuptools["packages"]["find"]["include"]]
    needed = {path for folder in folders for path in folder.rglob("*") if path.is_file() and ".py" not in path.suffix}
    packaged = {
        path
        for package, patterns in setuptools["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    assert packaged == needed


def test_no_test_imports_from_another_test() -> None:
    importing = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(("from tests", "import tests")) and not line.startswith("from tests.helpers.")
    }
    assert importing == set()


# ------------------------------------------------------------------ the checks themselves, on a small tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree that keeps every rule."""
    for name, content in {
        "analysis/__init__.py": '"""From runs to a report."""',
        "analysis/errors.py": "",
        "analysis/tables/__init__.py": '"""Tables."""',
        "analysis/tables/csv_files.py": "from analysis.errors import ReportError\nimport pandas",
        "analysis/figures/__init__.py": '"""Figures."""',
        "analysis/figures/style.py": "from analysis.tables import csv_files",
        "data/__init__.py": '"""The data."""',
        "data/batch.py": "import torch",
        "data/text.py": "from data.batch import PAD",
        "experiments/__init__.py": '"""What is run."""',
        "experiments/main.py": 'import importlib\nimportlib.import_module(f"experiments.verbs.{verb}")',
        "experiments/command.py": 'MODULES = {"fit": "experiments.verbs.fit"}\nimport_module(MODULES[verb])',
        "experiments/verbs/__init__.py": '"""One file a verb."""',
        "experiments/verbs/fit.py": "from data import text\nimport lit_models.gru\nimport analysis.figures.style",
        "lit_models/__init__.py": '"""The architectures."""\nfrom lit_models.contract import Contract',
        "lit_models/contract.py": "from data.batch import Batch",
        "lit_models/gru.py": "from .contract import Contract",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    return tmp_path


def add(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + "\n")


def test_a_tree_that_keeps_the_rules_passes(tree: Path) -> None:
    checks = (against_the_direction, cycles, crowded_folders, long_files, unexplained_folders)
    assert [check(tree) for check in checks] == [set()] * 5


def test_imports_are_found_wherever_and_however_they_are_written(tree: Path) -> None:
    add(tree / "lit_models/gru.py", "from . import lstm\nfrom data import batch as b, text\ndef f():\n    import json")
    (tree / "lit_models/lstm.py").touch()
    imported = imports(tree)
    assert imported["lit_models.gru"] == {"lit_models.contract", "lit_models.lstm", "data.batch", "data.text", "json"}
    assert imported["experiments.main"] == {"importlib", "experiments.verbs.fit"}
    assert imported["experiments.command"] == {"experiments.verbs.fit"}


@pytest.mark.parametrize(
    ("file", "line", "violation"),
    [
        ("data/text.py", "import lit_models.gru", "data.text -> lit_models.gru"),
        ("data/text.py", "def f():\n    from experiments.main import main", "data.text -> experiments.main"),
        ("lit_models/gru.py", "from data.text import Text", "lit_models.gru -> data.text"),
        ("lit_models/gru.py", "from analysis import errors", "lit_models.gru -> analysis.errors"),
        (
            "analysis/tables/csv_files.py",
            "if TYPE_CHECKING:\n    from analysis.figures.style import Style",
            "analysis.tables.csv_files -> analysis.figures.style",
        ),
        (
            "analysis/errors.py",
            "from .tables.csv_files import read",
            "analysis.errors -> analysis.tables.csv_files",
        ),
        ("analysis/figures/style.py", "import torch.nn", "analysis.figures.style -> torch"),
        (
            "analysis/figures/style.py",
            'import_module("data.batch")',
            "analysis.figures.style -> data.batch",
        ),
    ],
)
def test_an_import_against_the_direction_is_caught(tree: Path, file: str, line: str, violation: str) -> None:
    add(tree / file, line)
    assert against_the_direction(tree) == {violation}


def test_a_cycle_hidden_in_a_function_is_caught(tree: Path) -> None:
    add(tree / "experiments/verbs/fit.py", "def run():\n    from experiments.main import UsageError")
    assert cycles(tree) == {"experiments.main, experiments.verbs.fit"}


def test_a_cycle_by_way_of_a_third_module_is_caught(tree: Path) -> None:
    add(tree / "data/batch.py", "from data.tasks import TASKS")
    (tree / "data/tasks.py").write_text("import data.text\n")
    assert cycles(tree) == {"data.batch, data.tasks, data.text"}


def test_a_thirteenth_file_is_caught(tree: Path) -> None:
    for number in range(10):
        (tree / f"data/task_{number}.py").touch()
    assert crowded_folders(tree) == {"data"}


def test_the_401st_line_is_caught(tree: Path) -> None:
    (tree / "data/text.py").write_text("\n" * 400)
    assert long_files(tree) == set()
    (tree / "data/text.py").write_text("\n" * 401)
    assert long_files(tree) == {"data/text.py"}


@pytest.mark.parametrize("content", [None, "", "import torch", '""" """', '"""One.\n\nTwo."""'])
def test_a_folder_that_does_not_say_what_it_is_for_is_caught(tree: Path, content: str | None) -> None:
    path = tree / "experiments/verbs/__init__.py"
    path.unlink() if content is None else path.write_text(content)
    assert unexplained_folders(tree) == {"experiments/verbs"}
