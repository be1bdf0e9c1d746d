.PHONY: install format lint types imports docs quick test full cover bench guard build-check check

install:
	pip install -e '.[dev,docs]'

format:
	ruff format .
	ruff check --fix .

lint:
	ruff format --check .
	ruff check .

types:
	mypy

imports:
	lint-imports

# The documentation site, in site/; a link or an anchor that leads nowhere fails the build.
docs:
	zensical build --clean --strict

# The tests without HTTP, other processes and long inputs: half a minute on two cores.
quick:
	pytest tests/core tests/parsing tests/wire tests/operators tests/runtime tests/providers

# The README's own command.
test:
	pip install -e '.[dev]' && pytest

# Every test, on every wire and with all examples.
full:
	pytest --full

cover:
	pytest --cov --cov-report=term-missing

bench:
	pip install -e '.[benchmarks]'
	python -m benchmarks --full --install --json benchmarks/results/full.json --plot docs/benchmarks

# Ratios of CPU times and counts of instructions, against their limits.
guard:
	python -m benchmarks.guard

build-check:
	pytest tests/test_packaging.py

# What CI runs, in an environment that has `make install`; what fails soonest comes first.
check: lint types imports docs full
