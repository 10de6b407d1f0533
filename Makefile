# Two commands matter: `make book` and `make test`. Both work with git, make and Python 3.11+ alone.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# what a validated chapter records goes to a scratch ledger, so that tests leave the committed one alone
SCRATCH_LEDGER := $(CURDIR)/_build/validated_claims.json
# tests and chapters side by side; each may need 3 GB
WORKERS ?= -n auto --maxprocesses 4

export TOKENIZERS_PARALLELISM := false
export HF_HUB_DISABLE_TELEMETRY := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
# the package is compiled once, not by every process anew
export PYTHONDONTWRITEBYTECODE :=
# threads that wait shall sleep: beside another program they would slow each other a hundredfold
export OMP_WAIT_POLICY := PASSIVE
export PYTHONWARNINGS := ignore::DeprecationWarning,ignore:IProgress not found,ignore:A worker stopped while

# chapters run in notebooks/, but what a user names is seen from here
$(foreach name,KERNEL_CACHE KERNEL_DATA KERNEL_MIRROR,$(if $(filter-out /% ~% http%,$(firstword $($(name)))),\
	$(eval export $(name) := $(CURDIR)/$($(name)))))

.DEFAULT_GOAL := help
.PHONY: help book pages pdf test unit coverage notebooks results bench gpu lint assets clean

help: ## show this help
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

book: assets ## execute the notebooks and render the book to _build/html
	$(BIN)/python book/build.py --strict
	@echo "open _build/html/index.html"

pages: assets ## render the book from the stored outputs, executing nothing
	$(BIN)/python book/build.py --strict --as-committed

pdf: book ## print the book to _build/valence_axis.pdf, and its summary beside it (needs a Chromium)
	$(BIN)/python book/pdf.py

test: assets ## lint, run the unit tests and validate every notebook
	@$(MAKE) --no-print-directory -j 2 lint unit
	@mkdir -p _build && rm -f $(SCRATCH_LEDGER)
	chapters=$$($(BIN)/python book/build.py --list) && \
	shares=$$($(BIN)/python book/build.py --shares --workers 4) && \
		env $$shares KERNEL_LEDGER="$(SCRATCH_LEDGER)" $(BIN)/python -m pytest $(WORKERS) \
		--dist loadfile --no-loadscope-reorder --nbval-lax --nbval-current-env --nbval-cell-timeout=1800 \
		--nbval-kernel-startup-timeout=120 $$chapters

unit: $(READY) ## run the unit tests alone
	$(BIN)/python -m pytest $(WORKERS)

coverage: assets ## run the unit tests and say which lines and branches of the package they miss
	$(BIN)/python -m pytest $(WORKERS) --cov --cov-report=term --cov-fail-under=90

notebooks: assets ## execute the notebooks in place and refresh the ledger (for authors)
	$(BIN)/python book/build.py --in-place

results: assets ## compute the stored tables from FACED, which KERNEL_DATA names (for authors)
	$(BIN)/kernel run book/studies/faced.yaml

bench: assets ## run all benchmarks and write _build/benchmarks.json
	$(BIN)/python tests/benchmarks/run.py

gpu: $(READY) ## compare a graphics card with the processor and write _build/gpu.json
	$(BIN)/python tests/benchmarks/gpu.py

lint: $(READY) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

assets: $(READY) ## fetch the models and ratings that the chapters need
	$(BIN)/python -m kernel.assets fetch

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt \
		-e '.[hub,book,test,cluster]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV) || true # by all processors; pip takes one
	touch $@

clean: ## remove everything that was built, and the environment
	rm -rf _build $(VENV) *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage
