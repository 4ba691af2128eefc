"""The page on the tasks and the tasks say the same."""

import inspect
import re

from data.datamodule import Seq2SeqDataModule
from data.language import coreference, negation, tagging, word_sense
from data.language.pretraining import PRETRAINING
from data.tasks import TASKS, alphabet
from data.text import CLASSIFICATION
from tests.helpers.documents import DOCS

PAGE = (DOCS / "tasks.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]


def test_the_page_lists_every_task_with_its_shape_and_its_chance() -> None:
    assert [row[0].strip("`") for row in ROWS] == [*TASKS, *PRETRAINING, CLASSIFICATION]
    for (name, task), (_, _, shape, *_, chance, _) in zip(TASKS.items(), ROWS, strict=False):
        assert (shape == "many to one") == (task.outputs == "one")
        assert shape != "in step" or task.outputs == "each"
        assert chance == f"{task.chance(alphabet(name, 32), 40):.3f}"


def test_the_page_names_the_alphabets() -> None:
    [paragraph] = re.findall(r"\*\*Vocabulary\.\*\*(.*?)have an alphabet", PAGE, re.DOTALL)
    groups = re.findall(r"([^()]+)\((\d+)(?: symbols)?\)", paragraph)
    named = {name: int(size) for names, size in groups for name in re.findall(r"`(\S+)`", names)}
    assert named == {name: task.alphabet for name, task in TASKS.items() if task.alphabet}


def test_the_examples_in_words_ask_for_what_the_page_says() -> None:
    sections = re.findall(r"\n\*\*([\w ]+)\.\*\*(.*?)(?=\n\*\*|\n## )", (DOCS / "language.md").read_text(), re.DOTALL)
    tasks = {"Coreference": coreference, "Word sense": word_sense, "Negation": negation, "Tagging": tagging}
    assert [name for name, _ in sections] == list(tasks)
    for name, text in sections:
        lines = [line.split() for line in text.splitlines() if line.startswith("    ")]
        together = name == "Negation"  # on one line
        pairs = [(line[:-1], line[-1:]) for line in lines] if together else zip(lines[::2], lines[1::2], strict=True)
        for source, target in pairs:
            assert tasks[name].SENTENCES.answer(source) == target


def test_help_lists_every_task() -> None:
    help_of_task = (inspect.getdoc(Seq2SeqDataModule) or "").partition("vocabulary:")[0]
    named = (*TASKS, *PRETRAINING, CLASSIFICATION)
    assert [name for name in named if not re.search(rf"\b{name}\b", help_of_task)] == []
