"""Heatmaps show the weights of attention.json, with the words of each model on their axes."""

import json
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from analysis.errors import ReportError
from analysis.figures.attention.alignments import alignment_figure, heads_figure, spread_over_lengths
from analysis.figures.attention.pair import draw_attention
from analysis.figures.style import TEXT_WIDTH
from analysis.report.command import main as report
from analysis.tables.architectures import Architectures
from analysis.tables.attention_files import find_attention, read_attention
from tests.helpers.analysis_tables import write_trial as write_complete

SOURCE = ["▁a", "▁play", "er", "▁runs"]
TARGET = ["▁ein", "▁Spiel", "er", "</s>"]
WORDS = ["ein", "Spieler", "</s>"]


def weights(target, source, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(source), size=target).tolist()


def sentence(number=12, source=SOURCE, target=TARGET, heads=(), **changes):
    shape = len(target), len(source)
    named = {f"layer {layer} head {head}": weights(*shape, seed=10 * layer + head) for layer, head in heads}
    return {
        "id": number, "source": source, "target": target, "attention": weights(*shape, seed=number),
        "heads": named or None, **changes,
    }  # fmt: skip


def write_trial(runs, sentences, arch="Bahdanau", label=None, name=None):
    folder = runs / (name or label or arch)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed_everything: 0\n")
    path = folder / "attention.json"
    content = {"arch": arch, "label": label or arch, "sentences": sentences}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(runs, *sentences, **trial):
    return read_attention(write_trial(runs, list(sentences), **trial))


def panels(chart):
    return chart.figure.axes


def shown(axes):
    return np.asarray(axes.collections[0].get_array())


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def titles(chart):
    return [text.get_text() for text in chart.figure.texts]


def long_sentence(length):
    return [f"▁word{place}" for place in range(length)]


def drawn_beyond_the_edge(figure):
    """The words that would be cut off at the edge of the figure."""
    figure.canvas.draw()
    whole = figure.bbox
    texts = [*figure.texts, *(t for a in figure.axes for t in (*a.get_xticklabels(), *a.get_yticklabels()))]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [word for word, box in boxes if box.x0 < -1 or box.y0 < -1 or box.x1 > whole.x1 + 1 or box.y1 > whole.y1 + 1]


def test_a_panel_shows_the_weights_between_words(tmp_path):
    file = read(tmp_path, sentence())
    chart = alignment_figure([file], 12, architectures=Architectures())
    (axes,) = panels(chart)
    assert labels(axes.xaxis) == ["a", "player", "runs"]
    assert labels(axes.yaxis) == WORDS
    pieces = np.array(sentence()["attention"])
    np.testing.assert_allclose(shown(axes)[1, 1], pieces[1:3, 1:3].sum() / 2)
    np.testing.assert_allclose(shown(axes).sum(axis=1), 1)
    assert chart.name == "alignment_12"


def test_white_is_zero_and_black_is_one_with_the_first_target_word_on_top(tmp_path):
    (axes,) = panels(alignment_figure([read(tmp_path, sentence())], 12, architectures=Architectures()))
    mesh = axes.collections[0]
    assert mesh.get_clim() == (0, 1)
    assert mesh.cmap(0.0)[:3] == (1, 1, 1) and mesh.cmap(1.0)[:3] == (0, 0, 0)
    assert axes.yaxis_inverted()


def test_cells_are_square(tmp_path):
    file = read(tmp_path, sentence(source=long_sentence(9), target=long_sentence(5)))
    figure = (chart := alignment_figure([file], 12, architectures=Architectures())).figure
    box = panels(chart)[0].get_position()
    width, height = figure.get_size_inches()
    assert box.width * width / 9 == pytest.approx(box.height * height / 5)


def test_models_stand_side_by_side_in_the_order_of_legends_each_with_its_own_output(tmp_path):
    files = [
        read(tmp_path, sentence(target=["▁zwei", "</s>"]), arch="Transformer", label="Transformer, 4 heads"),
        read(tmp_path, sentence(), arch="Bahdanau"),
    ]
    chart = alignment_figure(files, 12, architectures=Architectures())
    assert titles(chart) == ["Bahdanau attention", "Transformer, 4 heads"]
    assert [labels(axes.yaxis) for axes in panels(chart)] == [WORDS, ["zwei", "</s>"]]
    first, second = (axes.get_position() for axes in panels(chart))
    assert first.y1 == pytest.approx(second.y1) and first.x1 < second.x0


def test_a_model_without_the_sentence_gets_no_panel(tmp_path):
    files = [read(tmp_path, sentence()), read(tmp_path, sentence(7), arch="LuongGlobal")]
    assert titles(alignment_figure(files, 7, architectures=Architectures())) == ["Luong global"]


def test_points_hold_every_weight_drawn(tmp_path):
    files = [read(tmp_path, sentence()), read(tmp_path, sentence(), arch="LuongGlobal", label="Luong, dot")]
    chart = alignment_figure(files, 12, architectures=Architectures())
    points = chart.points
    assert list(points.columns) == [
        "arch", "label", "id", "target_position", "target", "source_position", "source", "weight",
    ]  # fmt: skip
    drawn = points[points["label"] == "Luong, dot"]
    np.testing.assert_array_equal(drawn["weight"].to_numpy().reshape(3, 3), shown(panels(chart)[1]))
    place = drawn[(drawn["target_position"] == 2) & (drawn["source_position"] == 3)].iloc[0]
    assert (place["target"], place["source"], place["id"]) == ("Spieler", "runs", 12)


@pytest.mark.parametrize(("count", "rows"), [(1, [1]), (2, [2]), (3, [3]), (4, [2, 2]), (5, [3, 2])])
def test_panels_wrap_to_rows_of_at_most_three(tmp_path, count, rows):
    files = [read(tmp_path, sentence(), label=f"model {number}") for number in range(count)]
    tops = pd.Series(
        [
            round(axes.get_position().y1, 6)
            for axes in panels(alignment_figure(files, 12, architectures=Architectures()))
        ]
    )
    assert tops.value_counts().sort_index(ascending=False).tolist() == rows


@pytest.mark.parametrize("length", [2, 12, 30, 45])
def test_words_are_legible_within_the_text_width_and_none_is_cut_off(tmp_path, length):
    source, target = long_sentence(length), [*long_sentence(length + 2), "▁außerordentlich", "</s>"]
    files = [read(tmp_path, sentence(source=source, target=target), label=f"model {n}") for n in range(3)]
    chart = alignment_figure(files, 12, architectures=Architectures())
    assert chart.figure.get_size_inches()[0] <= TEXT_WIDTH + 1e-9
    assert drawn_beyond_the_edge(chart.figure) == []
    label = panels(chart)[0].get_yticklabels()[0]
    assert float(label.get_fontsize()) >= 5
    boxes = [text.get_window_extent() for text in panels(chart)[0].get_yticklabels()]
    assert all(upper.y0 >= lower.y1 - 1 for upper, lower in pairwise(boxes))


def test_very_long_words_are_cut_in_the_drawing_only(tmp_path):
    word = "Donaudampfschifffahrtsgesellschaft"
    chart = alignment_figure([read(tmp_path, sentence(target=["▁" + word]))], 12, architectures=Architectures())
    assert labels(panels(chart)[0].yaxis) == ["Donaudampfschif…"]
    assert set(chart.points["target"]) == {word}


def test_models_with_different_sources_are_not_drawn_as_one_sentence(tmp_path):
    files = [read(tmp_path, sentence()), read(tmp_path, sentence(source=["▁b"]), arch="LuongGlobal")]
    with pytest.raises(ReportError, match=r"Bahdanau.*LuongGlobal.*different sources as sentence 12"):
        alignment_figure(files, 12, architectures=Architectures())


def test_other_pieces_of_the_same_words_are_the_same_source(tmp_path):
    other = ["▁a", "▁pla", "y", "er", "▁runs"]
    files = [read(tmp_path, sentence()), read(tmp_path, sentence(source=other), arch="LuongGlobal")]
    assert len(panels(alignment_figure(files, 12, architectures=Architectures()))) == 2


def test_a_sentence_nobody_has_is_an_error_that_names_those_there_are(tmp_path):
    with pytest.raises(ReportError, match=r"no attention\.json has sentence 3; it has 7, 12"):
        alignment_figure([read(tmp_path, sentence(7), sentence(12))], 3, architectures=Architectures())


def test_heads_are_columns_and_layers_are_rows(tmp_path):
    places = [(layer, head) for layer in (1, 2) for head in (1, 2, 10)]
    words = long_sentence(4)
    file = read(tmp_path, sentence(heads=places[::-1], source=words, target=words), arch="Transformer")
    chart = heads_figure(file, 12, architectures=Architectures())
    assert chart.name == "heads_Transformer_12"
    corners = [(round(axes.get_position().y1, 6), round(axes.get_position().x0, 6)) for axes in panels(chart)]
    assert len({y for y, _ in corners}) == 2 and len({x for _, x in corners}) == 3
    assert corners == sorted(corners, key=lambda corner: (-corner[0], corner[1]))
    np.testing.assert_array_equal(shown(panels(chart)[5]), weights(4, 4, seed=30))
    drawn = chart.points[(chart.points["layer"] == 2) & (chart.points["head"] == 10)]
    np.testing.assert_array_equal(drawn["weight"], np.ravel(weights(4, 4, seed=30)))


def test_only_outer_heads_carry_words_and_none_is_cut_off(tmp_path):
    file = read(tmp_path, sentence(heads=[(1, 1), (1, 2), (2, 1), (2, 2)]), arch="Transformer")
    chart = heads_figure(file, 12, architectures=Architectures())
    assert [(bool(labels(a.xaxis)), bool(labels(a.yaxis))) for a in panels(chart)] == [
        (True, True), (True, False), (False, True), (False, False),
    ]  # fmt: skip
    assert drawn_beyond_the_edge(chart.figure) == []


def test_heads_too_small_for_words_say_so_in_the_caption(tmp_path):
    heads = [(1, head) for head in range(1, 9)]
    file = read(tmp_path, sentence(source=long_sentence(30), heads=heads), arch="Transformer")
    chart = heads_figure(file, 12, architectures=Architectures())
    assert not any(labels(axes.xaxis) for axes in panels(chart))
    assert "from left to right" in chart.caption
    assert chart.figure.get_size_inches()[0] <= TEXT_WIDTH + 1e-9


def test_a_model_without_heads_has_no_figure_of_heads(tmp_path):
    with pytest.raises(ReportError, match="no heads"):
        heads_figure(read(tmp_path, sentence()), 12, architectures=Architectures())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"attention": [[1.0, 0.0, 0.0, 0.0]]}, "sentence 12: 'attention' is not 4 rows of 4 numbers"),
        ({"attention": [[1.0], [0.5, 0.5], [1.0], [1.0]]}, "'attention' is not 4 rows"),
        ({"attention": None}, "'attention' is not 4 rows"),
        ({"attention": [["1", "0", "0", "0"]] * 4}, "'attention' is not 4 rows"),
        ({"attention": [[1.5, 0.0, 0.0, 0.0]] * 4}, "weights outside 0…1"),
        ({"attention": [[float("nan"), 0.0, 0.0, 0.0]] * 4}, "weights outside 0…1"),
        ({"id": "12"}, "'id' is '12', not a whole number"),
        ({"source": []}, "sentence 12: 'source' is empty"),
        ({"target": ["a", 3, "b", "c"]}, "sentence 12: 'target' is empty or holds something that is not text"),
        ({"heads": {"first": weights(4, 4)}}, "'first' is no head"),
        ({"heads": {"layer 1 head 1": [[1.0]]}}, "'layer 1 head 1' is not 4 rows of 4 numbers"),
        ({"heads": [1]}, "'heads' is neither null nor an object"),
    ],
)
def test_malformed_sentences_are_errors_that_name_the_file_and_what_is_wrong(tmp_path, change, fault):
    path = write_trial(tmp_path, [sentence() | change])
    with pytest.raises(ReportError) as caught:
        read_attention(path)
    message = str(caught.value)
    assert str(path) in message and fault in message and "\n" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "no valid JSON"),
        (b"\xff", "not a text file"),
        (b"[]", "is not a JSON object"),
        (b"{}", "has no 'arch'"),
        (b'{"arch": "A", "label": 3}', "'label' is 3, not text"),
        (b'{"arch": "A", "label": "A", "sentences": [3]}', "a sentence is 3, not an object"),
    ],
)
def test_malformed_files_are_errors(tmp_path, content, message):
    path = tmp_path / "attention.json"
    path.write_bytes(content)
    with pytest.raises(ReportError, match=message):
        read_attention(path)


def test_a_repeated_sentence_is_an_error(tmp_path):
    with pytest.raises(ReportError, match="sentence 12 twice"):
        read(tmp_path, sentence(), sentence())


def test_seeds_of_one_model_give_one_panel(tmp_path):
    write_trial(tmp_path, [sentence()], label="Bahdanau", name="seed-0")
    write_trial(tmp_path, [sentence()], label="Bahdanau", name="seed-1")
    (file,) = find_attention([tmp_path])
    assert file.path.parent.name == "seed-0"


def test_sentences_that_all_models_have_are_drawn(tmp_path):
    files = [read(tmp_path, *map(sentence, (1, 2, 5, 9))), read(tmp_path, *map(sentence, (2, 9)), label="other")]
    assert spread_over_lengths(files) == [2, 9]


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml")])
def test_one_pair_is_drawn_in_the_format_of_the_suffix_and_the_same_again(tmp_path, suffix, begins):
    paths = [tmp_path / f"{name}{suffix}" for name in ("first", "again")]
    for path in paths:
        draw_attention(path, ["a", "man"], ["ein", "Mann", "</s>"], weights(3, 2), title="Bahdanau")
    assert paths[0].read_bytes().startswith(begins)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_letters_of_an_svg_stay_letters(tmp_path):
    draw_attention(tmp_path / "a.svg", ["科学家"], ["scientists"], [[1.0]])
    assert "科学家" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_another_suffix_is_an_error_of_one_line_and_writes_nothing(tmp_path):
    with pytest.raises(ReportError, match=r"a\.gif: figures are written as \.png, \.pdf, \.svg"):
        draw_attention(tmp_path / "a.gif", ["a"], ["b"], [[1.0]])
    assert list(tmp_path.iterdir()) == []


def test_attention_of_another_shape_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"\(1, 2\) over 2 target and 1 source"):
        draw_attention(tmp_path / "a.png", ["a"], ["b", "c"], [[0.5, 0.5]])


@pytest.mark.parametrize("words", [["$\\frac$", "$x^$"], ["科学家", "مرحبا"], ["\n", "a\tb"]])
def test_words_that_are_no_formula_or_not_in_the_font_are_drawn_without_a_word(tmp_path, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_attention(tmp_path / "a.png", words, words, weights(2, 2), title=words[0])
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_warnings_of_other_drawings_are_heard_again(tmp_path):
    before = list(warnings.filters)
    draw_attention(tmp_path / "a.png", ["科学家"], ["b"], [[1.0]])
    assert warnings.filters == before


def write_complete_trial(runs, sentences, arch="Bahdanau", label=None, seed=0):
    """A trial that a report accepts, with the attention of some sentences."""
    content = {"arch": arch, "label": label or arch, "sentences": sentences}
    folder = write_complete(runs, arch, seed=seed)
    (folder / "attention.json").write_text(json.dumps(content), encoding="utf-8")


def test_figures_are_written_by_their_names(tmp_path, capsys):
    runs, out = tmp_path / "runs", tmp_path / "out"
    write_complete_trial(runs, [sentence(1), sentence(2)])
    write_complete_trial(runs, [sentence(2, heads=[(1, 1), (1, 2)])], arch="Transformer", label="small")
    write_complete_trial(runs, [sentence(2, heads=[(1, 1), (1, 2)])], arch="Transformer", label="large", seed=1)
    names = ("alignment_2", "heads_Transformer_2", "heads_Transformer_2_2")
    assert report([str(runs), "--output", str(out), "--figures", *names]) == 0
    expected = sorted(f"{name}.{suffix}" for name in names for suffix in ("csv", "pdf", "png"))
    assert sorted(path.name for path in (out / "figures").iterdir()) == expected
    assert "alignment_2.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere", "--figures", "alignment_12"], "does not exist"),
        (["without", "--figures", "alignment_12"], "no figure alignment_12"),
        (["runs", "--figures", "alignment_8"], "no figure alignment_8"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_on_stderr(tmp_path, monkeypatch, capsys, arguments, problem):
    write_complete_trial(tmp_path / "runs", [sentence()])
    write_complete(tmp_path / "without")
    monkeypatch.chdir(tmp_path)
    assert report(arguments) == 2
    error = capsys.readouterr().err
    assert problem in error and error.count("\n") == 1
