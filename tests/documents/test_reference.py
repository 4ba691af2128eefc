"""The committed tables: the figures of the README are drawn from them alone, and the page says how to make new ones."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.report.command import main
from experiments.sweep.sweep_file import read_sweep
from tests.helpers.documents import DOCS, README, ROOT

REFERENCE = DOCS / "reference"
REPORTS = [  # folders of tables, the folder that has figures/, and what is drawn
    (tables.split(), output, figures.split())
    for tables, output, figures in re.findall(
        r"^\t\$\(BIN\)/lengthwise report (.*) --output (docs\S*) --figures (.*)$", (ROOT / "Makefile").read_text(), re.M
    )
]


def test_every_measured_figure_of_the_pages_is_drawn_by_make_report() -> None:
    pages = [README, *(path.read_text() for path in DOCS.glob("*.md"))]
    shown = {
        f"{folder}figures/{name}"
        for page in pages
        for folder, name in re.findall(r"!\[.*?\]\((?:docs/)?(\w+/)?figures/(\w+)\.png\)", page)
    }
    of_reports = {name for name in shown if "reproduction_" not in name}  # another test has the others
    drawn = {f"{output}/figures/{name}".partition("/")[2] for _, output, figures in REPORTS for name in figures}
    assert of_reports == drawn


def test_every_committed_table_of_runs_is_drawn_by_make_report() -> None:
    folders = {path.parent for path in REFERENCE.rglob("*.csv*")} - {REFERENCE / "multi30k", REFERENCE / "word_vectors"}
    assert folders == {ROOT / folder for tables, _, _ in REPORTS for folder in tables}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("tables", "output", "figures"), REPORTS, ids=[figures[-1] for *_, figures in REPORTS])
def test_the_committed_tables_make_the_points_of_the_committed_figures(
    tables: list[str], output: str, figures: list[str], tmp_path: Path
) -> None:
    assert main([*(str(ROOT / table) for table in tables), "--output", str(tmp_path), "--figures", *figures]) == 0
    for name in figures:
        made, committed = (folder / "figures" / f"{name}.csv" for folder in (tmp_path, ROOT / output))
        pd.testing.assert_frame_equal(pd.read_csv(made), pd.read_csv(committed), rtol=1e-6, obj=name)
        assert plt.imread(committed.with_suffix(".png")).std() > 0, f"{name} is blank"


@pytest.mark.parametrize("path", sorted(REFERENCE.rglob("origin.json")), ids=lambda path: path.parent.name)
def test_every_committed_table_says_what_measured_it(path: Path) -> None:
    origin = json.loads(path.read_text())
    assert all(origin[key] for key in ("made_by", "date", "commit", "device", "processor"))


def test_no_committed_table_is_without_an_origin() -> None:
    tables, origins = ({path.parent for path in REFERENCE.rglob(name)} for name in ("*.csv*", "origin.json"))
    assert tables == origins


def test_the_committed_tables_stay_below_ten_megabytes() -> None:
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*")) < 10e6


def test_the_reference_sweep_is_two_tasks_at_three_limits_with_five_seeds() -> None:
    sweep = read_sweep(ROOT / "sweep.yaml")
    values = {parameter.name: parameter.settings["values"] for parameter in sweep.parameters}
    assert values["data.task"] == ["copy", "reverse"] and len(values["model"]) == 7
    assert values["data.length"] == [20, 40, 80] and values["seed_everything"] == [0, 1, 2, 3, 4]


def test_the_committed_trials_are_whole_seeds_that_have_converged_but_for_the_one_that_the_page_names() -> None:
    trials = pd.read_csv(REFERENCE / "bottleneck" / "trials.csv")
    assert list(trials[trials["ended"] != "converged"]["trial"]) == ["VanillaRNN-reverse-L80-s2-de3ef345"]
    for limit, rows in trials.groupby("train_length"):
        seeds = {cell: sorted(of_cell["seed"]) for cell, of_cell in rows.groupby(["task", "arch"])}
        assert len(seeds) == 14, limit
        assert all(each == sorted(rows["seed"].unique()) for each in seeds.values()), limit


def test_the_learning_rates_of_the_protocol_are_the_best_of_their_sweep() -> None:
    curves, trials = (pd.read_csv(REFERENCE / "learning_rate" / name) for name in ("curves.csv", "trials.csv"))
    least = curves[curves["metric"] == "loss"].groupby("trial")["value"].min()
    trials["rate"] = [json.loads(options)["learning_rate"] for options in trials["model"]]
    protocol = yaml.safe_load((ROOT / "experiments/configs/base.yaml").read_text())
    solved = protocol["early_stopping"]["stopping_threshold"]  # below it one rate is as good as another
    trials["loss"] = np.log(trials["trial"].map(least).clip(lower=solved))
    cells = trials.groupby(["arch", "task"])["rate"].nunique()
    assert len(cells) == 12 * 2 and cells.min() >= 6 and cells.sum() == len(trials)
    means = trials.pivot_table(index="arch", columns="rate", values="loss")  # of logarithms, over both tasks
    base = protocol["model"]
    assert {arch: base[arch]["learning_rate"] for arch in means.index} == means.idxmin(axis=1).to_dict()
    assert not {means.columns.min(), means.columns.max()} & set(means.idxmin(axis=1)), "a rate at the end is not tuned"
