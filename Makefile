# Two commands for a newcomer: make quickstart, make test. Each makes the environment in .venv if need be.
PYTHON ?= python3
BIN := .venv/bin
# uv installs in a fraction of pip's time; make UV= takes pip all the same.
UV := $(shell command -v uv 2> /dev/null)

.PHONY: help quickstart zoo report docs test test-slow test-all lint clean

help:
	@echo "make quickstart   measure all four claims in four to six minutes and write runs/quickstart/report.html"
	@echo "make zoo          train seven small models in some two minutes, for translate, look and gradients; see runs/zoo"
	@echo "make report       draw the figures of the README again, from the tables in docs/reference; trains nothing"
	@echo "make docs         build the pages, the documentation of the modules and the reports as a site, in build/site"
	@echo "make test         run the tests; eight minutes"
	@echo "make test-slow    run the tests that take more than ten seconds each; seven minutes"
	@echo "make test-all     run both in one go"
	@echo "make lint         ruff and pyright"
	@echo "make clean        remove the environment (runs/ stays)"

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("lengthwise needs Python 3.11 or newer; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
ifeq ($(UV),)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar=on --no-compile -c constraints.txt -e ".[docs,test]"
else
	$(UV) venv --quiet --allow-existing --seed --python $(PYTHON) .venv
	$(UV) pip install --python .venv -c constraints.txt -e ".[docs,test]"
endif
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests/' .venv/lib > /dev/null || true  # on all cores, which pip does on one
	@$(BIN)/lengthwise fit --help > /dev/null  # which is remembered; the first time takes seconds
	@touch $@

QUICKSTART := VanillaRNN LSTM GRU Bahdanau LuongGlobal LuongLocal Transformer

quickstart: .venv/.ready
	@echo "1 of 4: train seven architectures, some three minutes"
	WANDB_MODE=disabled $(BIN)/lengthwise sweep experiments/sweeps/quickstart.yaml --output runs/quickstart
	@echo "2 of 4: measure gradients by distance, a minute"
	$(BIN)/lengthwise gradients --models $(QUICKSTART) --lengths 24 --sequences 16 --output runs/quickstart/gradients
	@echo "3 of 4: time training steps, a minute"
	$(BIN)/lengthwise parallelism --models $(QUICKSTART) --quick --lengths 16 32 64 --speedup_length 32 --threads 1 --output runs/quickstart/parallelism
	@echo "4 of 4: draw the report"
	$(BIN)/lengthwise report runs/quickstart

zoo: .venv/.ready
	WANDB_MODE=disabled $(BIN)/lengthwise sweep experiments/sweeps/zoo.yaml --output runs/zoo

# Gradients at initialisation and on the tasks of the sweeps would share panels, hence several reports.
report: .venv/.ready
	$(BIN)/lengthwise report docs/reference/bottleneck docs/reference/gradients docs/reference/parallelism --output docs --figures accuracy bits length_generalisation errors prefixes capacity_by_context gradient_norm sequential_depth step_time
	$(BIN)/lengthwise report docs/reference/capacity --output docs/capacity --figures capacity_by_context
	$(BIN)/lengthwise report docs/reference/parallelism_gpu --output docs/gpu --figures step_time
	$(BIN)/lengthwise report docs/reference/by_length --output docs --figures bleu_by_length length_ratio_by_length
	$(BIN)/lengthwise report docs/reference/gradients_recall --output docs --figures accuracy_by_lag
	$(BIN)/lengthwise report docs/reference/remedies --output docs --figures remedies
	$(BIN)/lengthwise report docs/reference/learning_rate --output docs --figures learning_rates
	$(BIN)/lengthwise report docs/reference/language --output docs/language --figures length_generalisation
	$(BIN)/lengthwise report docs/reference/history --output docs/history --figures length_generalisation capacity_by_context
	$(BIN)/lengthwise report docs/reference/pretraining --output docs --figures pretraining
	$(BIN)/python docs/figures/architectures.py
	$(BIN)/python docs/figures/reproductions.py

docs: .venv/.ready
	$(BIN)/python docs/site/build.py

test: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

test-all: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

clean:
	rm -rf .venv
