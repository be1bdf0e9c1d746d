.PHONY: install format lint types imports docs quick test full cover bench build-check check

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
	python benchmarks/chunk_throughput.py
	python benchmarks/live_streams.py
	python benchmarks/wire_throughput.py
	python benchmarks/agents.py
	python benchmarks/start_and_stop.py
	python benchmarks/conversations.py
	python benchmarks/event_log.py
	python benchmarks/gateway.py
	python benchmarks/operators.py

build-check:
	pytest tests/test_packaging.py

# What CI runs, in an environment that has `make install`; what fails soonest comes first.
check: lint types imports docs full
