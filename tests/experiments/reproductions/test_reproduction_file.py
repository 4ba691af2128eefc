"""The file of a reproduction: what it says, and one clear line for whatever is wrong in it."""

from pathlib import Path
from typing import Any

import pytest

from analysis.reproductions.published import Line, PublishedPoint, Reference
from experiments.config.parser import parse_trial
from experiments.config.trial import resolve_trial
from experiments.errors import UsageError
from experiments.reproductions.coverage import check_coverage
from experiments.reproductions.reproduction_file import find, names, read_reproduction
from experiments.sweep.sweep_file import checked_sweep, expand, to_arguments
from tests.helpers.trials import reproduction, reproduction_file


def test_a_file_says_what_is_compared_and_what_is_claimed(tmp_path: Path) -> None:
    read = reproduction(tmp_path)
    assert read.name == "somebody2015-copy" and read.table == "trials" and not read.best
    assert read.lines[1] == Line("fixed", {"model": "GRU"}, "greedy_token_accuracy")
    assert read.published.points == (PublishedPoint("attention", 10.0, 26.75), PublishedPoint("fixed", None, 17.82))
    assert read.rules[0].of[0] == Reference("attention at 10", "attention", 10.0, 10.0)


def test_a_span_of_lengths_is_a_reference_too(tmp_path: Path) -> None:
    claim = {"says": "It stays.", "number": "attention over 20-40", "between": [0.9, None]}
    [rule] = reproduction(tmp_path, claims=[claim]).rules
    assert (rule.of[0].first, rule.of[0].last, rule.least, rule.most) == (20, 40, 0.9, float("inf"))


def test_the_size_of_the_paper_changes_keys_and_single_parameters(tmp_path: Path) -> None:
    read = read_reproduction(reproduction_file(tmp_path), "paper")
    assert read.cost == "days" and read.sweep["method"] == "grid"
    assert read.sweep["parameters"] == {"model": {"values": ["GRU", "Bahdanau"]}, "data.length": {"value": 50}}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"titel": "x"}, "key titel is unknown; did you mean title?"),
        ({"title": None}, "title: missing"),
        ({"title": 3}, "title: 3 is no text"),
        ({"source": "a paper"}, "source: 'a paper' is no mapping"),
        ({"source__link": None}, "source.link: missing"),
        ({"seeds": "median"}, "seeds: 'median' is not one of mean, best"),
        ({"x": "lenght"}, "x: lenght is no axis here; give length or an option, such as model.hidden_size"),
        ({"metric": "greedy_acuracy"}, "metric: greedy_acuracy is unknown; did you mean greedy_token_accuracy?"),
        (
            {"lines__fixed": {"model": "GRU", "metric": "blue"}},
            "lines.fixed.metric: blue is unknown; did you mean bleu?",
        ),
        ({"published__read": None}, "published.read: missing"),
        ({"lengths": "10"}, "lengths: '10' is no list"),
        ({"lines": ["GRU"]}, "lines: ['GRU'] is no mapping"),
        ({"lines__fixed": {"model": "GRU", "hidden": 3}}, "lines.fixed: hidden is no setting of a line"),
        ({"lines__fixed": {"model.hidden_size": 3}}, "lines.fixed: model: missing"),
        ({"published__read": "somewhere"}, "published.read: 'somewhere' is not one of from a table"),
        ({"published__read": "from a curve"}, "published.error: missing"),
        ({"published__points": 3}, "published.points: 3 is no list"),
        ({"published__points": [{"line": "GRU", "value": 1}]}, "published.points[1]: 'GRU' is not one of the lines"),
        ({"published__points": [{"line": "fixed"}]}, "published.points[1].value: missing"),
        ({"claims": []}, "claims: give at least one"),
        ({"claims": [{"order": ["fixed at 1", "attention at 1"]}]}, "claims[1].says: missing"),
        ({"claims": [{"says": "x"}]}, "claims[1]: give one of order, number, ratio, crossing"),
        ({"claims": [{"says": "x", "order": ["fixed at 1"]}]}, "claims[1].order: give at least two numbers"),
        ({"claims": [{"says": "x", "number": "fixed"}]}, "claims[1].number: 'fixed' is neither LINE at PLACE nor"),
        ({"claims": [{"says": "x", "number": "GRU at 3"}]}, "claims[1].number: 'GRU' is not one of the lines"),
        ({"claims": [{"says": "x", "number": "fixed at 3"}]}, "claims[1].between: give [LEAST, MOST]"),
        ({"claims": [{"says": "x", "number": "fixed at 3", "between": [2, 1]}]}, "claims[1].between: 2 is above 1"),
        ({"claims": [{"says": "x", "crossing": "fixed", "between": [1, 2]}]}, "claims[1].level: missing"),
        ({"sweep": None}, "give either sweep or probe"),
        ({"sweep": None, "probe": ["sizes"]}, "probe: give a list of words that begins with gradients or parallelism"),
        ({"sweep__method": "tree"}, "sweep: method: 'tree'; choose grid"),
        ({"paper": {"titel": "x"}}, "paper: key titel is unknown; did you mean title?"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_is_wrong_is_one_line_with_the_file_and_the_key(
    changes: dict[str, Any], line: str, tmp_path: Path
) -> None:
    path = reproduction_file(tmp_path, **{"paper": {}, **changes})
    with pytest.raises(UsageError) as error:
        read_reproduction(path)
    assert str(error.value).startswith(f"{path}: {line}") and "\n" not in str(error.value)


def test_a_misspelt_name_gets_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match=r"'britz2017-copi' is no reproduction; did you mean britz2017-copy\?"):
        find("britz2017-copi")


@pytest.mark.parametrize("size", ["small", "paper"])
@pytest.mark.parametrize("name", names())
def test_every_reproduction_of_the_suite_is_valid_and_its_trials_measure_what_it_claims(
    name: str, size: str, tmp_path: Path
) -> None:
    read = read_reproduction(find(name), size)
    if read.probe:
        return
    sweep = checked_sweep(find(name), dict(read.sweep))
    points = expand(sweep)
    seen = {str({**point, "seed_everything": 0}): point for point in points}
    for arguments in (to_arguments(sweep, point) for point in (next(iter(seen.values())), points[-1])):
        model, _ = parse_trial(arguments)
        assert model in {line.settings["model"] for line in read.lines}
    if read.lines[0].metric != "bleu":  # a corpus of text is not here
        trials = [resolve_trial([*to_arguments(sweep, point), f"--runs={tmp_path}"]) for point in seen.values()]
        check_coverage(find(name), read, trials)
    counts = {str(point["seed_everything"]) for point in points}
    assert len(counts) >= 3, "fewer seeds than a rule needs"
