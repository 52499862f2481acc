# Two commands: `make demo` runs the main job, `make test` passes the tests. Python 3.11+ with venv, git and make suffice.
PYTHON ?= python3
BIN := .venv/bin
ROUNDS := HEADRACE_LOSS_ROUNDS=3 HEADRACE_LOSS_SEED=100
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test long check loss faults soak simulate mutants fuzz bench setup ci-tools lock schemas release clean

demo: setup
	$(BIN)/headrace demo

# Side by side, as most tests wait; then those that promise times and kill what they run on.
test: setup
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),3) --dist loadfile -m "not alone and not long"
	$(BIN)/python -m pytest -m "alone and not long"

# What `make test` leaves out for its time, with more rounds and other seeds where there are any.
long: setup
	$(ROUNDS) $(BIN)/python -m pytest -m long

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house

# Both streams under every loss, also the short ones.
loss: setup
	$(ROUNDS) $(BIN)/python -m pytest tests/loss

# A whole stack broken on purpose, row by row; ROWS="1 8 16" runs those, RUNS=3 each so often with other seeds.
faults: setup
	$(BIN)/python -m tests.faults $(ROWS) $(if $(RUNS),--runs $(RUNS))
	$(if $(ROWS),,HEADRACE_FAULTS=whole $(BIN)/python -m pytest tests/faults/test_killed_while_it_works.py)

# Load and a kill a minute for HOURS: whether any process grows. HALF=1, then HALF=2: those spared live the whole time.
soak: setup
	$(BIN)/python -m tests.faults.soak --hours $(or $(HOURS),2) $(if $(HALF),--half $(HALF))

# Histories on a virtual clock for SECONDS: crashes, copies, delays; a line replays what broke a promise.
simulate: setup
	$(BIN)/python -m tests.simulation --seconds $(or $(SECONDS),60)

# The source made wrong, a line at a time: each must be caught.
mutants: setup
	$(BIN)/python -m tests.mutants $(MUTANTS)

# Damaged files by the thousand, each target for SECONDS; what breaks the promise is written to build/fuzz/.
fuzz: setup
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(TARGETS)

bench: setup
	$(BIN)/python -m bench $(ITEMS)

# What some marked tests want beyond Python (Debian packages, as root).
ci-tools:
	@.ci/tools

setup: .venv/.ready
	@$(BIN)/headrace models fetch --quiet
	@$(BIN)/headrace jars fetch --quiet

.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Written by a maintainer after a change of dependencies; needs uv. The image has locks of its own, parts of the first.
COMPILE := uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11
lock:
	$(COMPILE) --extra local --extra eval --extra redis --extra weaviate --group dev --group build \
	  pyproject.toml --output-file requirements.lock
	$(COMPILE) --no-annotate --extra redis --extra weaviate --constraint requirements.lock \
	  pyproject.toml --output-file deploy/images/runtime.lock
	printf 'hatchling\nonnx\nsafetensors\n' | $(COMPILE) --no-annotate --constraint requirements.lock \
	  - --output-file deploy/images/build.lock

schemas: setup
	$(BIN)/python -m schemas.generate
	$(BIN)/python -m api.generate
	$(BIN)/python -m cli.reference

# What the next release must be able to take over from: writes tests/upgrade/last_release/ from the commit REVISION.
release: setup
	$(BIN)/python -m tests.upgrade.release $(or $(REVISION),HEAD)

clean:
	rm -rf .venv .headrace
