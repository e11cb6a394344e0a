# Everything a developer or a pipeline needs. A fresh machine wants Python >= 3.11 and make, no more;
# the browser tests also want a Chromium.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

.PHONY: demo test unpaced paced-wire paced-short lint test-slow look verify-city conformance bench bench-logics bench-wire coverage
.PHONY: known-bad lock clean help

help:
	@echo "make demo         the 2027 summer peak, results in out/demo"
	@echo "make test         format, lint, types, layers, tests"
	@echo "make test-slow    the tests that make test leaves out"
	@echo "make look         pictures of the page from a real browser, in out/look (PAGES=...)"
	@echo "make verify-city  peak, share of air conditioning and degree effect over ten seeds"
	@echo "make bench        speed, each as a ratio within one run"
	@echo "make bench-logics the logic: against simpler ones over 20 seeds, capability estimates (an hour)"
	@echo "make known-bad    the certification suites on broken and good devices, ten seeds"
	@echo "make conformance  what each device kind answers to each function, in out/conformance.csv"
	@echo "make bench-wire   the wire: cost of a request, ten thousand devices (needs cc, libmodbus)"
	@echo "make coverage     branch coverage, the devices once more as plain Python"
	@echo "make lock         resolve requirements.lock anew"
	@echo "make clean        remove caches and results, keep the environment"

demo: $(STAMP)
	$(BIN)/twin run summer-peak-2027 --out out/demo

# Runs on wall time come last, when nothing else wants the cores: those over the whole wire take
# turns of minutes in which they mostly wait, the short ones go beside them one after the other,
# and lint, which gives way to both, in what is left.
test: $(STAMP)
	@$(MAKE) --no-print-directory unpaced
	@$(MAKE) --no-print-directory --jobs 3 paced-wire paced-short lint
	@echo "left out: slow tests (make test-slow) and benchmarks (make bench)"

paced-wire: $(STAMP)
	$(BIN)/pytest -m "paced and not slow and not bench" --timeout 400 tests/wire

paced-short: $(STAMP)
	$(BIN)/pytest -m "paced and not slow and not bench" --timeout 400 --ignore tests/wire

# Three workers on two cores: many tests wait for a device, a line or a guard.
unpaced: $(STAMP)
	$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not slow and not bench and not paced"

lint: $(STAMP)
	nice -n 10 $(BIN)/ruff format --check .
	nice -n 10 $(BIN)/ruff check .
	nice -n 10 $(BIN)/mypy
	nice -n 10 $(BIN)/lint-imports

test-slow: $(STAMP)
	$(BIN)/pytest -m slow --timeout 1800

look: $(STAMP)
	$(BIN)/python tests/look/look.py $(PAGES)

verify-city: $(STAMP)
	$(BIN)/pytest -m "slow or not slow" --timeout 3600 -s tests/verify_city

LOGIC := benchmarks/logics.py benchmarks/flexibility.py

bench: $(STAMP)
	@for script in $(filter-out $(LOGIC),$(wildcard benchmarks/[a-z]*.py)); do \
		echo "== $$script"; $(BIN)/python $$script || exit 1; \
	done

conformance: $(STAMP)
	SUITWIN_CONFORMANCE=out/conformance.csv $(BIN)/pytest -q tests/witness/test_conformance_table.py

# Every suite once; then ten seeds of every suite on good devices, and on broken ones of the
# register map and the suite that must find the fault.
known-bad: $(STAMP)
	$(BIN)/python -m hil.certify.broken --seeds 1
	$(BIN)/python -m hil.certify.broken --seeds 1-10 --short

bench-logics: $(STAMP)
	$(BIN)/python benchmarks/logics.py --scenario summer-peak-2027 --seeds 1-20
	$(BIN)/python benchmarks/flexibility.py --seeds 1 2 3

bench-wire: $(STAMP)
	$(BIN)/python benchmarks/wire/server_cost.py
	$(BIN)/python benchmarks/wire/ten_thousand.py

# The second pass runs the devices without compiling, so that their lines are counted.
coverage: $(STAMP)
	$(BIN)/coverage erase
	$(BIN)/coverage run -p -m pytest -m "not slow and not bench and not browser"
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -p -m pytest --timeout 1800 tests/assets
	$(BIN)/coverage combine
	$(BIN)/coverage report

# Hashes of every file of a version, so that the lock serves other Pythons and machines too.
# Known hashes are kept; new versions are downloaded to be hashed, which takes its time.
lock: $(STAMP)
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-strip-extras --extra dev \
		--no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--output-file requirements.lock pyproject.toml

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "suitwin needs Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf out build dist .coverage .coverage.* htmlcov .hypothesis .suitwin-cache
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find twin hil tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
