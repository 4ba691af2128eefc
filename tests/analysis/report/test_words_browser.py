"""The words of a page in a real browser: a click on one draws lines, as wide as its weights, to what it looks at."""

import numpy as np
import pytest

from analysis.figures.attention.looks import Look
from analysis.report.blocks import Heading, Words
from analysis.report.render.html import page
from tests.helpers.processes.browser import BROWSER, answers_of

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")

QUESTIONS = """<pre id="answers"></pre>
<script>
const all = (selector) => [...document.querySelectorAll(selector)];
const state = () => ({
  words: all(".column button").map((word) => word.textContent),
  pressed: all("button[aria-pressed=true]").map((word) => word.textContent),
  lines: all(".words line").map((line) => [line.getAttribute("y1"), line.getAttribute("y2"), line.style.strokeWidth]),
  shades: all(".column span").map((word) => [word.textContent, word.style.getPropertyValue("--weight")]),
  said: document.querySelector(".said").textContent,
});
const choice = document.querySelector("select");
const answers = { choices: [...choice.options].map((one) => one.text), start: state() };
all(".column button")[0].click();
answers.clicked = state();
choice.value = "2";
choice.dispatchEvent(new Event("change"));
answers.other = state();
const middle = (element) => (element.getBoundingClientRect().top + element.getBoundingClientRect().bottom) / 2;
const [level] = all(".words line");  // from the first word to the first
answers.ends = [middle(level), middle(all(".column button")[0]), middle(all(".column span")[0])];
answers.heights = all(".column button").map((word) => word.offsetHeight);
answers.width = [document.documentElement.scrollWidth, document.documentElement.clientWidth];
document.getElementById("answers").textContent = JSON.stringify(answers);
</script>
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    encoder = Look(
        "encoder", ["<b>it", "was"], ["<b>it", "was"], {(1, 1): np.eye(2), (1, 2): np.array([[0.25, 0.75]] * 2)}
    )
    cross = Look("cross", ["es", "war", "</s>"], ["<b>it", "was"], {(1, 1): np.array([[1.0, 0.0]] * 3)})
    folder = tmp_path_factory.mktemp("words")
    html = page([Heading("What it looks at", 1), Words([encoder, cross], (1, 2), 1)])
    (folder / "look.html").write_text(html.replace("</body>", QUESTIONS + "</body>"), encoding="utf-8")
    return answers_of(folder / "look.html", "--window-size=500,900")


def test_the_chosen_head_and_word_are_shown_at_first(answers):
    assert answers["choices"] == [
        "self-attention of the encoder, layer 1 head 1",
        "self-attention of the encoder, layer 1 head 2",
        "attention to the source",
    ]
    start = answers["start"]
    assert start["words"] == ["<b>it", "was"] and start["pressed"] == ["was"]
    assert start["lines"] == [["1.5", "0.5", "2px"], ["1.5", "1.5", "6px"]]
    assert start["said"] == "was looks at was 0.75, <b>it 0.25"


def test_a_click_shows_what_another_word_looks_at(answers):
    clicked = answers["clicked"]
    assert clicked["pressed"] == ["<b>it"] and [line[0] for line in clicked["lines"]] == ["0.5", "0.5"]
    assert clicked["shades"] == [["<b>it", "0.25"], ["was", "0.75"]]


def test_another_attention_brings_its_own_words(answers):
    other = answers["other"]
    assert other["words"] == ["es", "war", "</s>"] and other["pressed"] == ["es"]
    assert other["lines"] == [["0.5", "0.5", "8px"], ["0.5", "1.5", "0px"]]


def test_a_line_ends_beside_its_words(answers):
    assert answers["ends"] == pytest.approx([answers["ends"][0]] * 3, abs=2)


def test_it_fits_a_phone_and_a_finger_and_no_script_fails(answers):
    width, room = answers["width"]
    assert width <= room and min(answers["heights"]) >= 30 and answers["console"] == []
