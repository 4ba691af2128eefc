"""What architectures say of themselves is what older tables are filled in with; order and names of lines."""

import pytest

from analysis.tables.architectures import BUILT_IN, Architecture, Architectures, class_of, options_of, stated_by
from lit_models import architectures
from tests.helpers.models import VOCAB_SIZE


@pytest.mark.parametrize("known", BUILT_IN, ids=lambda known: known.arch)
def test_older_tables_are_filled_in_with_what_the_class_says_today(known):
    model = architectures()[known.arch](source_vocab_size=VOCAB_SIZE, target_vocab_size=VOCAB_SIZE)
    assert stated_by({"arch": known.arch, "architecture": model.describe()}) == [known]
    assert stated_by({"arch": known.arch, "attention": False}) == []  # an older trial on text


def test_every_architecture_of_the_suite_has_its_place_in_tables():
    assert {known.arch for known in BUILT_IN} == set(architectures())


def test_what_is_stated_counts_before_what_is_filled_in():
    stated = Architecture("GRU", "Minimal GRU", attends=False, recurrence="plain")
    assert Architectures([stated])["GRU [hidden_size=64]"] == stated


def test_an_unknown_class_has_its_name_and_nothing_else():
    assert Architectures()["Newcomer [layers=2]"] == Architecture("Newcomer", "Newcomer")
    assert "Newcomer" not in Architectures()


@pytest.mark.parametrize("summary", [{}, {"architecture": {"attends": None, "display_name": "Newcomer"}}])
@pytest.mark.parametrize("attention", [True, False])
def test_a_class_that_does_not_say_whether_it_attends_is_taken_by_what_it_returned_on_text(summary, attention):
    assert stated_by({"arch": "Newcomer", "attention": attention, **summary}) == [
        Architecture("Newcomer", "Newcomer", attends=attention)
    ]


def test_an_older_trial_on_symbols_states_nothing():
    assert stated_by({"arch": "Newcomer"}) == []


def test_lines_are_named_in_the_order_of_tables():
    lines = ["Zebra", "Transformer", "GRU [hidden_size=128]", "GRU [hidden_size=64]", "GRU"]
    assert Architectures([Architecture("Zebra", "Zebra net")]).names(lines) == {
        "GRU": "GRU", "GRU [hidden_size=64]": "GRU [hidden_size=64]", "GRU [hidden_size=128]": "GRU [hidden_size=128]",
        "Transformer": "Transformer", "Zebra": "Zebra net",
    }  # fmt: skip
    assert list(Architectures().names(lines)) == [*sorted(lines[2:], key=len), "Transformer", "Zebra"]


def test_a_line_is_a_class_and_its_options():
    assert (class_of("GRU [a=1, b=2]"), options_of("GRU [a=1, b=2]")) == ("GRU", "a=1, b=2")
    assert (class_of("GRU"), options_of("GRU")) == ("GRU", "")
