"""`make docs`: the pages of the project as a site, in build/site, to be read without a network.

    python docs/site/build.py [--without-reports] [--output DIR]

The pages stay plain Markdown whose links also lead somewhere on a code host. So they are staged first, in DIR/pages,
in the folders of the repository: the README becomes the front page, a link to a module leads to its documentation, one
to any other file to a page that shows it, and one to a folder to a list of its files. Blocks of math, LaTeX that a code
host draws, become MathML, which a browser draws without a script. zensical.toml and site.css say what the site looks
like.
"""

import argparse
import ast
import json
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path

from math_core import LatexError, LatexToMathML

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = ("lit_models", "data", "analysis")
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
EQUATION = re.compile(r"^```math\n(.*?)^```$", re.M | re.S)
MATHML = LatexToMathML()
LANGUAGES = {".py": "python", ".yaml": "yaml", ".cff": "yaml", ".bib": "bibtex", "": "bash", ".sbatch": "bash"}
REMOTE_SCRIPT = re.compile(r'<script src="https://unpkg\.com/[^>]*></script>')  # for searching without a server
SHOWN_AS_THEY_ARE = {".png", ".csv", ".gz", ".json"}
REPORTS = {
    "reference": (
        "one model for all lengths up to 20 or 40, within and beyond; gradients at initialisation; the cost of a step",
        ["bottleneck", "gradients", "parallelism"],
    ),
    "language": ("tasks in words: accuracy by the distance of two words that have to meet", ["language"]),
    "by_length": ("text: BLEU against source length, English to German", ["by_length"]),
}
REPORTS_PAGE = """# Reports

What `lengthwise report` makes of the tables in [docs/reference]({tables}): verdicts, and every figure and table behind
them, each report one page. A click on a name hides an architecture; a slider moves through attention maps by length.

"""


def main() -> int:
    """Build the site; the exit code is that of zensical."""
    parser = argparse.ArgumentParser(description="Build the site of the project in DIR/site.")
    parser.add_argument("--without-reports", action="store_true", help="leave the reports empty, which take longest")
    parser.add_argument("--output", type=Path, default=ROOT / "build", metavar="DIR", help="default build")
    options = parser.parse_args()
    output: Path = options.output
    for folder in ("pages", "site"):
        shutil.rmtree(output / folder, ignore_errors=True)
    stage = Stage(tracked_files(), output / "pages")
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *stage.below("docs", ".md")):
        stage.page(page)
    for package in DOCUMENTED:
        for folder in {posixpath.dirname(name) for name in stage.below(package, ".py")}:
            stage.folder(folder)
    reports = REPORTS_PAGE.format(tables=posixpath.relpath(stage.folder("docs/reference"), "reports"))
    for name, (shown, folders) in REPORTS.items():
        reports += f"- [{name}]({name}/report.html): {shown}\n"
        if options.without_reports:
            stage.write(f"reports/{name}/report.html", "")
        else:
            report(stage.output / "reports" / name, folders)
    stage.write("reports/index.md", reports)
    shutil.copy(ROOT / "docs" / "site" / "site.css", stage.output)
    look = (ROOT / "docs" / "site" / "zensical.toml").read_text(encoding="utf-8")
    config = output / "zensical.toml"
    config.write_text(look.replace('"ROOT"', json.dumps(str(ROOT))), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(config)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    site = output / "site"
    for page in site.rglob("*.html"):
        page.write_text(REMOTE_SCRIPT.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    if code == 0:
        print(f"{site / 'index.html'}; to search it too: python -m http.server -d {site}")
    return code


def tracked_files() -> list[str]:
    """All files of the repository, or of an unpacked copy that has no history."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return listed.stdout.splitlines()
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.*") if path.is_file())


class Stage:
    """Lays out pages, each once, and with a page whatever it links to.

    Args:
        files: all files of the repository, by their paths within it.
        output: where the pages go.
    """

    def __init__(self, files: list[str], output: Path) -> None:
        self.files = files
        self.output = output
        self.done: set[str] = set()

    def below(self, folder: str, ending: str) -> list[str]:
        """The files with this ending in a folder and its folders."""
        return [name for name in self.files if name.startswith(f"{folder}/") and name.endswith(ending)]

    def page(self, name: str) -> str:
        """Stage a Markdown page; where it lies then."""
        place = "index.md" if name == "README.md" else name
        if place not in self.done:
            self.done.add(place)
            try:
                text = EQUATION.sub(lambda block: equation(block[1]), (ROOT / name).read_text(encoding="utf-8"))
            except LatexError as error:
                sys.exit(f"{name}: {error}")
            self.write(place, LINK.sub(lambda link: self._target(name, link[1]) + (link[2] or ""), text))
        return place

    def folder(self, name: str) -> str:
        """Stage what a folder holds: the documentation of its modules, or a list of its files."""
        place = f"{name}/index.md"
        if place in self.done:
            return place
        self.done.add(place)
        below = [file.removeprefix(f"{name}/") for file in self.files if file.startswith(f"{name}/")]
        inside = [file for file in below if "/" not in file]
        lines = [f"# {name}", ""]
        if "__init__.py" in inside:
            lines += [docstring(f"{name}/__init__.py"), ""]
        for folder in sorted({file.partition("/")[0] for file in below if "/" in file}):
            lines.append(f"- [{folder}/]({self._target(place, folder)})")
        documented = name.split("/")[0] in DOCUMENTED
        modules = [file for file in inside if file.endswith(".py") and file != "__init__.py"]
        for file in sorted(inside):
            if file in modules and not documented:
                lines.append(f"- `{file}`: {docstring(f'{name}/{file}').partition(chr(10) * 2)[0]}")
            elif Path(file).suffix in (".yaml", ".csv", ".gz", ".json"):
                lines.append(f"- [{file}]({self._target(place, file)})")
        for module in modules if documented else []:
            source = "true" if name.startswith("lit_models") else "false"  # the equations are the code
            lines += ["", f"::: {module_of(f'{name}/{module}')}", f"    options: {{show_source: {source}}}"]
        self.write(place, "\n".join(lines) + "\n")
        return place

    def _target(self, page: str, link: str) -> str:
        """Where a link of a page leads on the site, relative to that page."""
        name = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
        if "://" in link or not (ROOT / name).exists():
            return link
        return posixpath.relpath(self._staged(name), posixpath.dirname(page) or ".")

    def _staged(self, name: str) -> str:
        ending = Path(name).suffix
        if (ROOT / name).is_dir():
            return self.folder(name)
        if ending == ".md":
            return self.page(name)
        if name.split("/")[0] in DOCUMENTED and ending == ".py":
            return f"{self.folder(posixpath.dirname(name))}#{module_of(name)}"
        if ending in SHOWN_AS_THEY_ARE:
            (self.output / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.output / name)
            return name
        text = (ROOT / name).read_text(encoding="utf-8")
        shown = notebook(text) if ending == ".ipynb" else f"# {name}\n\n{fenced(text, LANGUAGES.get(ending, ''))}"
        place = f"{name.lstrip('.')}.md"  # hidden files are no pages
        self.write(place, shown)
        return place

    def write(self, place: str, text: str) -> None:
        """Stage a text."""
        (self.output / place).parent.mkdir(parents=True, exist_ok=True)
        (self.output / place).write_text(text, encoding="utf-8")


def docstring(name: str) -> str:
    """That of a module."""
    return ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8"))) or ""


def module_of(name: str) -> str:
    """lit_models/lstm.py -> lit_models.lstm"""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def fenced(text: str, language: str) -> str:
    """A text as a block of code."""
    return f"````{language}\n{text.rstrip()}\n````\n"


def equation(latex: str) -> str:
    """An equation as MathML, on one line: Markdown lets it pass."""
    return f'<div class="equation">{MATHML.convert_with_local_state(latex, displaystyle=True)}</div>'


def notebook(text: str) -> str:
    """The cells of a notebook, which is kept without output."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(source if kind == "markdown" else fenced(source, "python") for kind, source in cells)


def report(output: Path, folders: list[str]) -> None:
    """Make the report of committed tables: report.html and what it links to."""
    tables = [f"docs/reference/{folder}" for folder in folders]
    command = [sys.executable, "-m", "experiments.main", "report", *tables, "--output", str(output)]
    subprocess.run(command, cwd=ROOT, check=True)
    (output / "report.md").unlink()  # it would be a page, with the same text
    shutil.rmtree(output / "report_tables")


if __name__ == "__main__":
    sys.exit(main())
