"""The page of each architecture: its picture exists, and every name, option and configuration it points to does too."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.figures.style import LOOKS
from lit_models import architectures
from lit_models.lit_module import LitSeq2Seq

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "architectures"
PAGES = sorted(FOLDER.glob("*.md"))
CODE = re.compile(r"\[`([A-Za-z_][\w.]*)`\]\((\S+\.py)\)")  # [`Class.method`](path.py), or [`file.py`](path.py)
OPTION = re.compile(r"--model\.(\w+)(?: ([\w-]+))?")


def names_in(path: Path) -> Iterator[str]:
    """Every class and function of a module, methods as Class.method."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
            body = node.body if isinstance(node, ast.ClassDef) else []
            yield from (f"{node.name}.{inner.name}" for inner in body if isinstance(inner, ast.FunctionDef))


def model_of(page: Path) -> type[LitSeq2Seq]:
    """The architecture that a page is about: that of the module with its name."""
    (model,) = [
        candidate for candidate in architectures().values() if candidate.__module__ == f"lit_models.{page.stem}"
    ]
    return model


def options_of(model: type[LitSeq2Seq]) -> dict[str, object]:
    """Every option of a model with its default, those of its bases included."""
    signatures = [inspect.signature(base.__init__) for base in reversed(model.__mro__) if base is not object]
    return {name: parameter.default for signature in signatures for name, parameter in signature.parameters.items()}


def test_every_architecture_with_a_colour_of_its_own_has_a_page() -> None:
    assert {model_of(page).__name__ for page in PAGES} == set(LOOKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_name_a_page_points_to_is_defined_there(page: Path) -> None:
    references = CODE.findall(page.read_text())
    assert references
    for name, target in references:
        path = FOLDER / target
        assert path.is_file(), f"{page.name} points to {target}"
        assert name == path.name or name in set(names_in(path)), f"{page.name}: {target} has no {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_shows_its_picture(page: Path) -> None:
    assert f"](../figures/architecture_{page.stem}.png)" in page.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_option_of_a_page_is_one_of_its_architecture(page: Path) -> None:
    options = options_of(model_of(page))
    named = {name for name, _ in OPTION.findall(page.read_text())} - {"help"}
    assert named and named <= set(options)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_stays_two_screens_long(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_configuration_a_page_names_exists(page: Path) -> None:
    for path in re.findall(r"--config (\S+\.yaml)", page.read_text()):
        assert (ROOT / path).is_file(), f"{page.name}: {path}"
