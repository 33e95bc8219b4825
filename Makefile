# make demo      make .venv, install, run the main job on real photographs, print where the report lies
# make test      make .venv, install, run every test
# make install   make .venv and install, nothing else
# make check     lint, formatting and types
# make benchmark print the speed tables

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO := out/demo

# where the shared photographs lie beside the checkout, tests that need them find them
ifneq ($(wildcard ../shared/data),)
export CROSSRANK_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test install check benchmark clean

demo: install
	@$(BIN)/crossrank demo -o $(DEMO) --force

# a process per core, each with one thread: kernels that wait for each other's threads are slow
test: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto

install: $(READY)

# entry points of an editable install go stale: install again when they may have changed
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

benchmark: install
	$(BIN)/python benchmarks/filip.py

clean:
	rm -rf .venv out dist build
