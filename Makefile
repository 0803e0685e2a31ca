# make demo         build .venv and run the demonstration on real data
# make test         build .venv and .venv-lowest and run everything that CI runs
# make test-lowest  only the tests on the lowest supported versions
# make test-interpreted  only those of the kernels for a GPU, in Triton's interpreter
# make lint         only formatting, lint and types
# make format       format, and mend what the linter can mend
# make clean        remove everything that was built
#
# What is installed and tested is the wheel, never the checkout. Stamps make a second call quick.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
DATASET ?= digits
DEMO_FLAGS ?=

# Triton decides when it is imported whether kernels are interpreted: these tests are a session of
# their own.
INTERPRETED := TRITON_INTERPRET=1

BIN := .venv/bin
LOWEST := .venv-lowest/bin
# An S3 server for the tests, in an environment of its own: what it needs excludes what we do.
export MOTO_SERVER := $(CURDIR)/.venv-moto/bin/moto_server
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
WHEEL := dist/ltc-$(VERSION)-py3-none-any.whl
# Directories too: a file that is gone has changed nothing else.
SOURCES := pyproject.toml README.md LICENSE \
    $(shell find ltc ltc_kernels -name __pycache__ -prune -o -print)

.PHONY: demo test test-wheel test-lowest test-interpreted lint format clean
.DELETE_ON_ERROR:
# One step at a time: benchmarks among the tests share the cores with nothing.
.NOTPARALLEL:

demo: .venv/demo.stamp
	$(BIN)/ltc demo --dataset $(DATASET) $(DEMO_FLAGS)

test: lint test-wheel test-lowest

lint: .venv/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test-wheel: .venv/test.stamp .venv-moto/test.stamp
	$(BIN)/pytest --doctest-modules --ignore-glob='*/integrations/composer.py' --pyargs ltc ltc_kernels
	$(BIN)/pytest --junit-xml=build/tests.xml tests
	$(INTERPRETED) $(BIN)/pytest --junit-xml=build/tests-interpreted.xml tests/kernels/gpu
	$(BIN)/pytest --benchmark-disable benchmarks

test-lowest: .venv-lowest/test.stamp .venv-moto/test.stamp
	$(LOWEST)/pytest --junit-xml=build/tests-lowest.xml tests
	$(INTERPRETED) $(LOWEST)/pytest --junit-xml=build/tests-lowest-interpreted.xml tests/kernels/gpu

test-interpreted: .venv/test.stamp
	$(INTERPRETED) $(BIN)/pytest tests/kernels/gpu

format: .venv/test.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-lowest .venv-moto build dist

.venv/created.stamp .venv-lowest/created.stamp .venv-moto/created.stamp: %/created.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --clear $*
	touch $@

$(WHEEL): .venv/created.stamp constraints.txt $(SOURCES)
	rm -rf dist
	$(BIN)/pip install --quiet -c constraints.txt hatchling
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# pip leaves an ltc of the same version as it is, so the wheel itself goes in by force. Whoever has
# the extra for tests has the one for the demo.
.venv/demo.stamp: EXTRAS = demo
.venv/test.stamp: EXTRAS = browser,cluster,demo,frameworks,interop,report,test
.venv-lowest/test.stamp: EXTRAS = demo,test
.venv/demo.stamp .venv/test.stamp: $(WHEEL)
	$(BIN)/pip install --quiet -c constraints.txt '$(WHEEL)[$(EXTRAS)]'
	$(BIN)/pip install --quiet --no-deps --force-reinstall $(WHEEL)
	touch $@

.venv-lowest/test.stamp: .venv-lowest/created.stamp constraints-lowest.txt $(WHEEL)
	$(LOWEST)/pip install --quiet -c constraints-lowest.txt '$(WHEEL)[$(EXTRAS)]'
	$(LOWEST)/pip install --quiet --no-deps --force-reinstall $(WHEEL)
	touch $@

.venv-moto/test.stamp: .venv-moto/created.stamp constraints-moto.txt
	.venv-moto/bin/pip install --quiet -c constraints-moto.txt moto flask flask-cors
	touch $@
