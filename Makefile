.PHONY: install format lint types imports test cover bench build-check check

install:
	pip install -e '.[dev]'

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

# The README's own command.
test:
	pip install -e '.[dev]' && pytest

cover:
	pytest --cov --cov-report=term-missing

bench:
	pip install -e '.[benchmarks]'
	python benchmarks/chunk_throughput.py
	python benchmarks/live_streams.py
	python benchmarks/wire_throughput.py
	python benchmarks/agents.py
	python benchmarks/start_and_stop.py
	python benchmarks/operators.py

build-check:
	pytest tests/test_packaging.py

check: test lint types imports
