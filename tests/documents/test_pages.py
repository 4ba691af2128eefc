"""The pages do what they say: their links lead somewhere, and their commands are understood as they stand."""

import argparse
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from urllib.parse import unquote

import pytest

from experiments.config.trial import resolve_trial
from experiments.main import VERBS, main
from experiments.sweep.sweep_file import read_sweep
from tests.helpers.documents import DOCS, README, ROOT, commands
from tests.helpers.text_files import stand_in_corpora

PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("architectures/*.md"))]
TEXTS = [page.read_text() for page in PAGES]
COMMANDS = [arguments for text in TEXTS for arguments in commands("lengthwise ", text)]
CHECKPOINT_COMMANDS = [
    arguments for arguments in COMMANDS if arguments[0] in ("validate", "test", "predict") or "--init_from" in arguments
]
FIT_COMMANDS = [arguments[1:] for arguments in COMMANDS if arguments[0] == "fit" and "--init_from" not in arguments]
OTHER_COMMANDS = [arguments for arguments in COMMANDS if arguments[0] != "fit" and arguments not in CHECKPOINT_COMMANDS]


class Understood(Exception):
    """Stands for everything that a command would do once its options are read."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https://)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("arguments", FIT_COMMANDS, ids=" ".join)
def test_fit_commands_resolve(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_corpora(tmp_path, monkeypatch)
    for name in ("docs", "experiments"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, split in (("train", "train"), ("dev", "validation"), ("test", "test")):
        for language in ("en", "de"):
            shutil.copy(tmp_path / "corpora" / "by_length" / f"{split}.{language}", tmp_path / f"{name}.{language}")
            (tmp_path / f"vectors.{language}").write_text(f"dog{' 0' * 64}\n")  # that --model.embeddings names
    here = ["cpu" if argument == "gpu" else argument for argument in arguments]  # a card may not be at hand
    resolve_trial([*here, f"--runs={tmp_path}"])


@pytest.mark.parametrize("arguments", OTHER_COMMANDS, ids=" ".join)
def test_the_options_of_other_commands_are_understood(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read: Any = argparse.ArgumentParser.parse_args

    def read_only(*given: Any) -> None:
        read(*given)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read_only)
    with pytest.raises(Understood):
        main(arguments)


@pytest.mark.parametrize("arguments", CHECKPOINT_COMMANDS, ids=" ".join)
def test_commands_on_a_trial_lack_nothing_but_the_trial(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert next(word for word in arguments if word.startswith("runs/")) in capsys.readouterr().err


@pytest.mark.parametrize("text", TEXTS, ids=[page.stem for page in PAGES])
def test_reports_are_made_where_sweeps_write(text: str) -> None:
    swept = [f"runs/{read_sweep(ROOT / path).name}" for path, *_ in commands("lengthwise sweep", text)]
    reported = [folder for folder, *_ in commands("lengthwise report", text) if folder.startswith("runs/")]
    assert {folder for folder in reported if not folder.startswith("runs/parallelism")} <= set(swept)


def test_every_verb_but_two_is_shown_on_a_page() -> None:
    assert {arguments[0] for arguments in COMMANDS} >= VERBS.keys() - {"validate", "sizes"}


def test_modules_that_are_run_exist() -> None:
    names = [arguments[0] for text in TEXTS for arguments in commands("python -m ", text)]
    assert names and all(find_spec(name) is not None for name in names)


@pytest.mark.parametrize("text", TEXTS, ids=[page.stem for page in PAGES])
def test_functions_that_are_named_with_their_module_exist(text: str) -> None:
    for name in re.findall(
        r"`((?:analysis|benchmarks|data|experiments|lit_models)(?:\.\w+)+\.(?!py\b|yaml\b)\w+)\b", text
    ):
        assert resolve_name(name)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for (target,) in commands("make", README):
        assert re.search(rf"^{target}:", makefile, re.M)


def test_the_page_on_wandb_lists_every_sweep() -> None:
    linked = re.findall(r"\]\((\S+\.yaml)\)", (DOCS / "wandb.md").read_text())
    assert {(DOCS / path).resolve() for path in linked} == {
        ROOT / "sweep.yaml",
        *(ROOT / "experiments" / "sweeps").glob("*.yaml"),
    }


def test_an_equation_is_a_block_of_math_that_can_be_drawn() -> None:
    drawn = pytest.importorskip("math_core").LatexToMathML().convert_with_local_state
    for page, text in zip(PAGES, TEXTS, strict=True):
        equations = re.findall(r"^```math\n(.*?)^```$", text, re.M | re.S)
        assert all("<math" in drawn(equation, displaystyle=True) for equation in equations), page
        if page.parent.name == "architectures":
            assert equations and not re.search(r"^    \S", text, re.M), f"{page}: an equation is plain text"


LINK = re.compile(r'(?:href|src)="([^"]+)"')
NAMED = re.compile(r'\bid="([^"]+)"')


@pytest.mark.slow
def test_the_site_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    pytest.importorskip("zensical")
    command = [sys.executable, str(DOCS / "site" / "build.py"), "--without-reports", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    texts = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html") if page.name != "404.html"}
    names = {page: set(NAMED.findall(text)) for page, text in texts.items()}
    for page, text in texts.items():
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//[^"]*"', text), page
        for link in LINK.findall(text):
            place, _, name = unquote(link).partition("#")
            if not re.match(r"[a-z]+:", place):
                target = (page.parent / place).resolve() if place else page
                assert target.exists(), (page, link)
                assert not name or target.suffix != ".html" or name in names[target] | {"__skip"}, (page, link)
    front = (site / "index.html").read_text()
    assert "What does sequence length do" in front and 'reports/index.html"' in front
    page = (site / "docs" / "architectures" / "bahdanau.html").read_text()
    assert "<msub>" in page and "begin{aligned}" not in page
    assert 'id="lit_models.lstm.LSTM"' in (site / "lit_models" / "index.html").read_text()
