"""The README's architecture goes from one file to the report."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.documents import README, ROOT
from tests.helpers.trials import SMALL

# In one process, because each pays seconds for its imports.
ALL = """
import sys
import pytest
from experiments.main import main
if __name__ == "__main__":
    assert main(["sweep", "sweep.yaml", "--output", "runs"]) == 0
    assert main(["report", "runs"]) == 0
    sys.exit(pytest.main(["-v", "-p", "no:cacheprovider", "tests/lit_models/test_contract.py", "-k", "MeanContext"]))
"""


@pytest.mark.slow
def test_the_readmes_architecture_goes_from_one_file_to_the_figure(tmp_path: Path) -> None:
    for package in ("analysis", "data", "experiments", "lit_models"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    (tmp_path / "lit_models" / "mean_context.py").write_text(code)
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    parameters = {name: {"value": value} for name, value in SMALL.items()} | {
        "model": {"values": ["MeanContext", "GRU"]},
        "data.length": {"values": [3, 5]},
        "trainer.max_steps": {"value": 10},
    }
    del parameters["model.dropout"]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"method": "grid", "parameters": parameters}))
    (tmp_path / "all.py").write_text(ALL)
    command = [sys.executable, "all.py"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "runs" / "figures" / "accuracy.csv").open() as file:
        drawn = {(row["arch"], row["length"]) for row in csv.DictReader(file)}
    assert {("MeanContext", "3"), ("MeanContext", "5"), ("GRU", "3"), ("GRU", "5")} <= drawn
    assert "MeanContext" in (tmp_path / "runs" / "report.md").read_text()
    summaries = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("MeanContext-*/summary.json")]
    assert [summary["architecture"]["attends"] for summary in summaries] == [False, False], "judged as a fixed context"
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 7, done.stdout
