# `make demo` and `make test` start from Python 3.11 and make alone; both are quick the second time.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test clean

demo: .venv/runtime
	$(BIN)/zoo train specs/linear3.json
	$(BIN)/zoo export --onnx --torchscript

test: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

.venv/python:
	$(PYTHON) -m venv .venv
	touch $@

.venv/runtime: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev: .venv/runtime
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist
