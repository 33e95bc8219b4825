# make demo      make .venv, install, run the main job on real photographs, print where the report lies
# make test      make .venv, install, run every test
# make install   make .venv and install, nothing else
# make test-kernels  run the plugins' tests with the plain, the AVX2 and the native kernels of BLAS and torch
# make check     lint, formatting and types
# make benchmark print the speed tables
# make test-openclip test the encoder openclip, in an environment of its own
# make test-hosts test the adapters of crossrank_hosts against their hosts, in environments of their own
# make test-clients let clients of other rerankers ask a running server, each in an environment of its own
# make test-lavis hold the LAVIS adapter against LAVIS's own classes, in an environment of its own

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO := out/demo
LAVIS := .venv-lavis
OPENCLIP := .venv-openclip
HOSTS := .venv-hosts
MORE_HOSTS := .venv-hosts-more

# where the shared photographs lie beside the checkout, tests that need them find them
ifneq ($(wildcard ../shared/data),)
export CROSSRANK_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test test-kernels install check benchmark openclip test-openclip hosts test-hosts test-lavis clean

demo: install
	@$(BIN)/crossrank demo -o $(DEMO) --force

# a process per core, each with one thread: kernels that wait for each other's threads are slow
test: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto

# what only a kernel decides: tests of plugins, each time with other sums of numpy and torch
NATIVE := env -u ATEN_CPU_CAPABILITY -u OPENBLAS_CORETYPE -u MKL_CBWR -u ONEDNN_MAX_CPU_ISA OMP_NUM_THREADS=1
# but for those that compute nothing themselves: they carry others' scores about
CARRIERS := hosts serve remote mine bench demo dialogue
PLUGIN_TESTS := $(filter-out $(addprefix tests/crossrank_,$(CARRIERS)),$(wildcard tests/crossrank_*))

test-kernels: install
	$(NATIVE) ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Nehalem MKL_CBWR=COMPATIBLE ONEDNN_MAX_CPU_ISA=SSE41 $(BIN)/pytest -q -n auto $(PLUGIN_TESTS)
	$(NATIVE) ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell ONEDNN_MAX_CPU_ISA=AVX2 $(BIN)/pytest -q -n auto $(PLUGIN_TESTS)
	$(NATIVE) $(BIN)/pytest -q -n auto $(PLUGIN_TESTS)

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
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python benchmarks/filip.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/mack.py
	$(BIN)/python benchmarks/hosa.py
	$(BIN)/python benchmarks/scale.py --folder out/stores --items 10000 100000

# torchvision, which open_clip needs, breaks classes of transformers that other plugins use
openclip: $(OPENCLIP)/.ready

test-openclip: openclip
	OMP_NUM_THREADS=1 $(OPENCLIP)/bin/python -m pytest -q tests/crossrank_openclip

# torch first and the three without their dependencies, so that nothing brings another torch
$(OPENCLIP)/.ready: pyproject.toml constraints.txt
	test -x $(OPENCLIP)/bin/python || $(PYTHON) -m venv $(OPENCLIP)
	$(OPENCLIP)/bin/pip install -q --disable-pip-version-check -c constraints.txt -e ".[clip]" pytest hypothesis ftfy
	$(OPENCLIP)/bin/pip install -q --disable-pip-version-check --no-deps -c constraints.txt open-clip-torch timm torchvision
	touch $(OPENCLIP)/.ready

hosts: $(HOSTS)/.ready $(MORE_HOSTS)/.ready

test-hosts: hosts
	OMP_NUM_THREADS=1 $(HOSTS)/bin/python -m pytest -q tests/crossrank_hosts
	OMP_NUM_THREADS=1 $(MORE_HOSTS)/bin/python -m pytest -q tests/crossrank_hosts

# both lists are complete, so nothing is left to resolve, which took pip an hour
$(HOSTS)/.ready: pyproject.toml constraints-hosts.txt
	test -x $(HOSTS)/bin/python || $(PYTHON) -m venv $(HOSTS)
	$(HOSTS)/bin/pip install -q --disable-pip-version-check --no-deps -r constraints-hosts.txt
	$(HOSTS)/bin/pip install -q --disable-pip-version-check --no-deps -e .
	touch $(HOSTS)/.ready

# those whose newest versions want other packages
$(MORE_HOSTS)/.ready: pyproject.toml constraints-hosts-more.txt
	test -x $(MORE_HOSTS)/bin/python || $(PYTHON) -m venv $(MORE_HOSTS)
	$(MORE_HOSTS)/bin/pip install -q --disable-pip-version-check --no-deps -r constraints-hosts-more.txt
	$(MORE_HOSTS)/bin/pip install -q --disable-pip-version-check --no-deps -e .
	touch $(MORE_HOSTS)/.ready

# they conflict with one another: each environment holds what can live together
CLIENTS_A := cohere==7.* voyageai litellm xinference-client
CLIENTS_B := llama-index-postprocessor-jinaai-rerank llama-index-postprocessor-cohere-rerank llama-index-postprocessor-tei-rerank llama-index-postprocessor-xinference-rerank jina-haystack cohere-haystack huggingface-api-haystack
CLIENTS_C := langchain-cohere
CLIENTS_NPM := cohere-ai voyageai ai @ai-sdk/cohere @langchain/cohere
CLIENTS := .venv-clients

test-clients: install $(CLIENTS)/.ready
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m serve_clients.run \
	  "$(CLIENTS)/a/bin/python tests/serve_clients/python_clients.py" \
	  "$(CLIENTS)/b/bin/python tests/serve_clients/python_clients.py" \
	  "$(CLIENTS)/c/bin/python tests/serve_clients/python_clients.py" \
	  $(if $(shell command -v npm),"node $(CLIENTS)/npm/npm_clients.mjs")

$(CLIENTS)/.ready: Makefile tests/serve_clients/npm_clients.mjs
	for each in a b c; do test -x $(CLIENTS)/$$each/bin/python || $(PYTHON) -m venv $(CLIENTS)/$$each; done
	$(CLIENTS)/a/bin/pip install -q --disable-pip-version-check $(CLIENTS_A)
	$(CLIENTS)/b/bin/pip install -q --disable-pip-version-check $(CLIENTS_B)
	$(CLIENTS)/c/bin/pip install -q --disable-pip-version-check $(CLIENTS_C)
	mkdir -p $(CLIENTS)/npm && cp tests/serve_clients/npm_clients.mjs $(CLIENTS)/npm
	if command -v npm; then npm install --silent --no-audit --no-fund --prefix $(CLIENTS)/npm $(CLIENTS_NPM); fi
	touch $(CLIENTS)/.ready

test-lavis: install $(LAVIS)/.ready
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(LAVIS)/bin/python -m lavis_parity.lavis_side out/lavis
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(LAVIS)/bin/python -m lavis_parity.released_side
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m lavis_parity.transformers_side out/lavis

# without the constraints: LAVIS needs packages of 2023
$(LAVIS)/.ready: pyproject.toml
	test -x $(LAVIS)/bin/python || python3.11 -m venv $(LAVIS)
	$(LAVIS)/bin/pip install -q --disable-pip-version-check "torch==2.13.0" "transformers==4.26.1" "numpy<2" -e .
	$(LAVIS)/bin/pip install -q --disable-pip-version-check --no-deps "salesforce-lavis==1.0.2" "timm==0.4.12"
	touch $(LAVIS)/.ready

clean:
	rm -rf .venv .venv-clients .venv-lavis .venv-openclip .venv-hosts .venv-hosts-more out dist build
