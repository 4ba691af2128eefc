# Two commands for a newcomer: make quickstart, make test. Each makes the environment in .venv if need be.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help quickstart report test lint clean

help:
	@echo "make quickstart   train every architecture at several lengths and write runs/quickstart/report.md"
	@echo "make report       draw the figures of the README again, from the tables in docs/reference; trains nothing"
	@echo "make test         run the tests"
	@echo "make lint         ruff and pyright"
	@echo "make clean        remove the environment (runs/ stays)"

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("lengthwise needs Python 3.11 or newer; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar=on -c constraints.txt -e ".[test]"
	@touch $@

quickstart: .venv/.ready
	WANDB_MODE=disabled $(BIN)/lengthwise sweep experiments/sweeps/quickstart.yaml --output runs/quickstart
	$(BIN)/lengthwise report runs/quickstart

# Each needs its table in docs/reference.
FIGURES := accuracy bits gradient_norm sequential_depth step_time
report: .venv/.ready
	$(BIN)/lengthwise report docs/reference --output docs --figures $(FIGURES)
	$(BIN)/python docs/figures/architectures.py

test: .venv/.ready
	$(BIN)/python -m pytest -n 2

lint: .venv/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

clean:
	rm -rf .venv
