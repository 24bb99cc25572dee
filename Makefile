# make quickstart   train, index, search and evaluate on the toy data, in an environment of its own
# make serve        the index of the quick start behind an address on this machine, with a page to search it
# make test         the fast tests          make test-slow   those that take minutes
# make test-engines the tests that need Lucene, PISA and ciff-toolkit, in an environment of their own; Java 17 is yours
# make check        ruff and mypy           make docs        the site of docs/ and its API reference, into site/
# make clean        remove what these made, but for results
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ENGINES ?= .venv-engines
OUT    ?= experiments/quickstart
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart serve test test-slow test-engines check docs format clean

$(VENV)/.runtime: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.tests: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

$(VENV)/.docs: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

$(VENV)/.serve: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serve]'
	touch $@

quickstart: $(VENV)/.runtime
	$(BIN)/python -m splade.all config.checkpoint_dir=$(OUT)/checkpoint config.index_dir=$(OUT)/index config.out_dir=$(OUT)/out

serve: $(VENV)/.serve
	@test -d $(OUT)/index || { echo "there is no index in $(OUT)/index yet: run make quickstart first"; exit 2; }
	$(BIN)/python -m splade.serve config.checkpoint_dir=$(OUT)/checkpoint config.index_dir=$(OUT)/index $(SERVE_ARGS)

test: $(VENV)/.tests
	$(BIN)/python -m tests.kernels.warm
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(PYTEST_ARGS)

test-slow: $(VENV)/.tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow --timeout 1800 $(PYTEST_ARGS)

# PyTerrier and Pyserini are not needed, only what lies in their packages; ciff-toolkit wants another protobuf.
$(ENGINES)/.engines: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(ENGINES)
	$(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,pisa]'
	$(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps pyterrier-pisa==0.4.9 pyserini==0.25.0
	$(PYTHON) -m venv $(ENGINES)/ciff
	$(ENGINES)/ciff/bin/python -m pip install --quiet --disable-pip-version-check ciff-toolkit==0.2.2
	touch $@

test-engines: $(ENGINES)/.engines
	CIFF_TOOLKIT_PYTHON=$(abspath $(ENGINES)/ciff/bin/python) PISA_PYTHON=$(abspath $(ENGINES)/bin/python) OMP_NUM_THREADS=1 \
		$(ENGINES)/bin/python -m pytest -q -rs -m engine tests/engines tests/exporting

check: $(VENV)/.tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/python scripts/build_docs.py
	$(BIN)/python scripts/build_notebooks.py
	$(BIN)/mkdocs build --strict

format: $(VENV)/.tests
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(ENGINES) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
