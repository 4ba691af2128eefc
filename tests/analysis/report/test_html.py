"""The page needs nothing but itself, says what the Markdown says, and its lines can be told apart by a script."""

import re
import warnings
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure as Drawing

from analysis.claims.verdicts import Answer
from analysis.report.blocks import Block, Figure, Heading, Paragraph, Table
from analysis.report.render import markdown
from analysis.report.render.html import page
from analysis.report.render.latex import column_types, escaped, figure_snippet, table_snippet, table_snippets
from analysis.report.render.svg import inline_svg
from tests.helpers.charts import line_chart, map_chart


def report() -> list[Block]:
    return [
        Heading("What length did", 1),
        Heading("The three claims"),
        Table(("Claim", "Verdict"), [("1. Bottle|neck", Answer.IN_PART)], prose=True),
        Heading("Figures"),
        Figure(
            line_chart("accuracy"),
            (
                Paragraph("**What to see.** Lines < and & more."),
                Paragraph(
                    "[PDF](figures/accuracy.pdf), [points (CSV)](figures/accuracy.csv). "
                    "Made by `lengthwise report runs --figures accuracy`"
                ),
            ),
        ),
        Figure(map_chart("map", 90), (Paragraph("**What to see.** Cells."),), "12 words"),
        Heading("Figures"),
        Paragraph("A second section of one name."),
    ]


@pytest.fixture(scope="module")
def html():
    return page(report())


class Tags(HTMLParser):
    """Every tag with its attributes, and whether tags are nested as they should be."""

    VOID = ("meta", "link", "img", "br", "hr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_tags_are_closed_in_their_order(html):
    assert Tags(html).open == []


def test_nothing_is_loaded_from_elsewhere(html):
    loaded = [
        (tag, value)
        for tag, attributes in Tags(html).found
        for name, value in attributes.items()
        if name in ("src", "srcset", "data", "href", "xlink:href") and tag != "a"
    ]
    assert loaded
    assert all(value.startswith(("data:", "#")) for _, value in loaded)
    assert "@import" not in html and not re.search(r"url\((?!#)", html)
    assert not re.search(r"<script[^>]+src", html)


def test_ids_are_unique_and_every_reference_leads_to_one(html):
    tags = Tags(html).found
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]+)"', html) + re.findall(r"url\(#([^)]+)\)", html)
    assert used and set(used) <= set(ids)


def test_a_figure_holds_its_drawing_and_its_caption(html):
    figure = html.split('<figure id="accuracy">')[1].split("</figure>")[0]
    assert "<svg" in figure and "Lines &lt; and &amp; more." in figure and 'href="figures/accuracy.pdf"' in figure
    assert "figures/accuracy.png" not in html


def test_lines_bars_and_bands_of_an_architecture_carry_its_name_and_guides_do_not(html):
    names = [attributes["data-line"] for _, attributes in Tags(html).found if "data-line" in attributes]
    assert set(names) == {"LSTM", "GRU"}
    assert names.count("GRU") == 3  # line, bars, band


def test_a_map_of_many_cells_becomes_a_picture(html):
    figure = html.split('<figure id="map" data-map="12 words">')[1].split("</figure>")[0]
    assert 'src="data:image/png;base64,' in figure and "<svg" not in figure


def test_verdicts_stand_out_and_cells_keep_their_bars(html):
    assert '<strong class="verdict part">holds in part</strong>' in html
    assert "<td>1. Bottle|neck</td>" in html


def test_contents_lead_to_every_section_even_of_one_name(html):
    listed = re.findall(r'<li><a href="#(section-[^"]+)">', html)
    assert listed == ["section-the-three-claims", "section-figures", "section-figures-2"]


def test_the_same_figure_gives_the_same_drawing():
    assert inline_svg(line_chart("a").figure, "a") == inline_svg(line_chart("a").figure, "a")


def test_letters_that_the_font_lacks_are_drawn_by_the_reader_without_a_warning():
    figure = Drawing()
    figure.text(0, 0, "日本")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "日本" in (inline_svg(figure, "a") or "")


def test_figures_become_latex_as_wide_as_they_are():
    one, two = figure_snippet(line_chart("accuracy")), figure_snippet(map_chart("map", 2))
    assert r"\begin{figure}[t]" in one and r"\includegraphics[width=\columnwidth]{figures/accuracy.pdf}" in one
    assert r"\caption{100\% of x\_1 \& y.}" in one and r"\label{fig:accuracy}" in one
    assert r"\begin{figure*}[t]" in two and r"width=\textwidth" in two


def test_tables_become_latex_named_after_their_heading():
    [(name, snippet)] = table_snippets(report()).items()
    assert name == "table_the_three_claims"
    assert r"1. Bottle\textbar{}neck & holds in part \\" in snippet and r"\begin{tabular}{ll}" in snippet
    assert snippet.index(r"\toprule") < snippet.index("Claim") < snippet.index(r"\midrule") < snippet.index("holds")


def test_a_table_as_wide_as_a_page_takes_both_of_its_columns():
    narrow, wide = (table_snippet("a", "A", Table(["a"], [["b" * letters]])) for letters in (40, 60))
    assert r"\begin{table}[t]" in narrow and r"\begin{table*}[t]" in wide and r"\end{table*}" in wide
    assert r"\begin{tabular}{l}" in narrow and r"\begin{tabular}{l}" in wide


def test_cells_too_long_for_a_page_are_broken_into_lines_that_fill_it():
    snippet = table_snippet("a", "A", Table(["short", "long"], [["a", "many words " * 20]]))
    shares = [float(share) for share in re.findall(r"p{\\dimexpr ([\d.]+)\\linewidth-2\\tabcolsep}", snippet)]
    assert len(shares) == 2 and shares[0] < shares[1] and sum(shares) == pytest.approx(1, abs=0.002)


def test_a_column_has_room_for_its_longest_word():
    header, rows = ["one", "two"], [["x" * 40, "many words " * 20]]
    (one, _), (other, _) = column_types([header, *rows]), column_types([header, ["x " * 20, rows[0][1]]])
    assert float(re.findall(r"[\d.]+", one)[0]) > float(re.findall(r"[\d.]+", other)[0])


def test_second_tables_of_a_heading_are_numbered():
    table = Table(["a"], [["b"]])
    assert list(table_snippets([Heading("One"), table, table, Heading("Two"), table])) == [
        "table_one", "table_one_2", "table_two",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "latex"),
    [("a_b 50% & {c}", r"a\_b 50\% \& \{c\}"), ("n·d²", r"n$\cdot$d$^2$"), ("[0.1, 0.2]", "{}[0.1, 0.2]"),
     ("*kept* `code`", "kept code"), ("R² ≥ 0.9…1", r"R$^2$ $\geq$ 0.9\dots{}1")],
)  # fmt: skip
def test_letters_that_latex_reads_otherwise_are_escaped(text, latex):
    assert escaped(text) == latex


def test_the_same_blocks_are_a_page_and_a_text_of_markdown():
    text = markdown.document(report())
    assert "| 1. Bottle\\|neck | **holds in part** |" in text
    assert "![Accuracy](figures/accuracy.png)\n\n**What to see.** Lines < and & more.\n\n[PDF]" in text
