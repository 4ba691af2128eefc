"""The report in a real browser, on a phone and on a desk: nothing overflows, no script fails, legends and slider work.

A second page with the report in a frame asks the questions and writes the answers where --dump-dom shows them.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from analysis.claims.verdicts import Answer
from analysis.report.blocks import Block, Figure, Heading, Paragraph, Table
from analysis.report.command import main
from analysis.report.render.html import page
from tests.helpers.charts import line_chart, map_chart
from tests.helpers.processes.browser import BROWSER, answers_of, browse

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
COMMITTED = ("bottleneck", "gradients", "parallelism", "by_length")
WIDTHS = {"phone": 390, "desktop": 1280}
MAPS = {f"alignment_{number}": f"{5 * number} words" for number in (1, 2, 3)}

QUESTIONS = """<!DOCTYPE html>
<title>questions</title>
<iframe id="report" src="report.html" style="width:WIDTHpx;height:900px;border:0"></iframe>
<pre id="answers"></pre>
<script>
const frame = document.getElementById("report");
const errors = [];
frame.contentWindow.addEventListener("error", (event) => errors.push(String(event.message)));
frame.addEventListener("load", () => {
  const page = frame.contentDocument, view = frame.contentWindow, answers = {};
  view.addEventListener("error", (event) => errors.push(String(event.message)));
  const all = (selector, within = page) => [...within.querySelectorAll(selector)];
  const scale = (matrix) => Math.hypot(matrix.c, matrix.d);  // of a label that is turned too
  const style = (element) => view.getComputedStyle(element);
  const off = () => all("[data-line='GRU']").map((line) => style(line).visibility);
  const shown = () => all("figure[data-map]").filter((map) => map.offsetHeight > 0).map((map) => map.id);
  const legends = all(".legend");
  const dimmed = (legend) => legend.parentNode.classList.contains("dimmed");
  answers.width = [page.documentElement.scrollWidth, page.documentElement.clientWidth];
  answers.legends = legends.map((legend) => all("button", legend).map((button) => button.textContent));
  answers.heights = all(".legend button").map((button) => button.offsetHeight);
  answers.colours = all("i", legends[0]).map((swatch) => style(swatch).borderTopColor);
  const drawn = all("svg text").filter((text) => text.getBoundingClientRect().height > 0);
  answers.letters = drawn.map((text) => parseFloat(style(text).fontSize) * scale(text.getScreenCTM()));
  const gru = legends[0].querySelector("button[data-name='GRU']");
  answers.before = off();
  gru.dispatchEvent(new view.MouseEvent("mouseenter"));
  answers.dimmed = legends.map(dimmed);
  gru.dispatchEvent(new view.MouseEvent("mouseleave"));
  answers.undimmed = dimmed(legends[0]);
  gru.click();
  answers.hidden = off();
  answers.pressed = all("button[data-name='GRU']").map((button) => button.getAttribute("aria-pressed"));
  gru.click();
  answers.after = off();
  const range = page.querySelector(".slider input"), said = page.querySelector(".slider output");
  answers.maps = [];
  for (const value of ["0", "2"]) {
    range.value = value;
    range.dispatchEvent(new view.Event("input"));
    answers.maps.push([said.textContent, shown()]);
  }
  answers.errors = errors;
  document.getElementById("answers").textContent = JSON.stringify(answers);
});
</script>
"""


def report() -> list[Block]:
    charts = [line_chart(name) for name in ("accuracy", "bits")] + [map_chart(name, 4) for name in MAPS]
    claims = Table(
        ("Claim", "Verdict", "What is claimed", "By whom", "And a column that makes it wide"),
        [("1. Fixed-context bottleneck", Answer.UNTOLD, "Something long enough to wrap", "Cho et al.", "x")],
        prose=True,
    )
    figures = [
        Figure(
            chart,
            (
                Paragraph("**What to see.** Words."),
                Paragraph(
                    f"[PDF](figures/{chart.name}.pdf). Made by `lengthwise report "
                    f"runs/a_rather_long_name_of_a_folder_without_any_space --figures {chart.name}`"
                ),
            ),
            MAPS.get(chart.name, ""),
        )
        for chart in charts
    ]
    return [Heading("What length did", 1), Heading("The three claims"), claims, *figures]


def write_report(folder: Path, script: bool = True) -> Path:
    html = page(report(), ["LSTM", "GRU"])
    if not script:
        html = re.sub(r"<script>.*</script>", "", html, flags=re.S)
    (folder / "report.html").write_text(html, encoding="utf-8")
    return folder / "report.html"


def ask(report: Path, width: int) -> dict[str, Any]:
    """The browser's answers about a report on a screen so many pixels wide, with what it wrote on its console."""
    folder = report.parent
    (folder / "questions.html").write_text(QUESTIONS.replace("WIDTH", str(width)))
    return {**answers_of(folder / "questions.html", "--window-size=1400,1000"), "wide": width}


@pytest.fixture(scope="module", params=list(WIDTHS.values()), ids=list(WIDTHS))
def answers(request, tmp_path_factory):
    return ask(write_report(tmp_path_factory.mktemp("report")), request.param)


def test_no_script_fails_and_the_console_is_silent(answers):
    assert answers["errors"] == [] and answers["console"] == []


def test_the_page_is_never_wider_than_the_screen(answers):
    width, room = answers["width"]
    assert room <= answers["wide"] and width <= room


def test_letters_in_figures_can_be_read(answers):
    assert min(answers["letters"]) >= 9


def test_every_line_figure_has_a_legend_in_the_colours_of_its_lines(answers):
    assert answers["legends"] == [["LSTM", "GRU"], ["LSTM", "GRU"]]
    assert answers["colours"] == ["rgb(213, 94, 0)", "rgb(204, 121, 167)"]
    assert min(answers["heights"]) >= 30  # large enough for a finger


def test_hovering_a_legend_entry_dims_the_other_lines_of_its_figure(answers):
    assert answers["dimmed"] == [True, False] and answers["undimmed"] is False


def test_clicking_a_legend_entry_hides_an_architecture_everywhere_and_shows_it_again(answers):
    assert set(answers["before"]) == set(answers["after"]) == {"visible"}
    assert set(answers["hidden"]) == {"hidden"} and answers["pressed"] == ["false", "false"]


def test_the_slider_moves_through_the_maps_by_source_length(answers):
    assert answers["maps"] == [["5 words", ["alignment_1"]], ["15 words", ["alignment_3"]]]


def test_without_scripts_everything_is_shown(tmp_path):
    path = write_report(tmp_path, script=False)
    done = browse(path, tmp_path, "--dump-dom")
    assert done.stdout.count("<figure") == 5 and 'class="away"' not in done.stdout and "<button" not in done.stdout


def test_the_report_of_the_committed_tables_works_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.figures.chart.save_figure", lambda *_: None)  # the page has drawings of its own
    assert main([*(str(REFERENCE / name) for name in COMMITTED), "--output", str(tmp_path)]) == 0
    for wide in WIDTHS.values():
        answers = ask(tmp_path / "report.html", wide)
        assert answers["errors"] == [] and answers["console"] == []
        width, room = answers["width"]
        assert room <= wide and width <= room
        assert min(answers["letters"]) >= 9 and min(answers["heights"]) >= 30
        assert "Transformer" in answers["legends"][0] and "GRU" in answers["legends"][0]
        assert set(answers["hidden"]) == {"hidden"} and set(answers["after"]) == {"visible"}
        (first, at_first), (later, at_later) = answers["maps"]
        assert first.endswith("tokens") and first != later and at_first != at_later
