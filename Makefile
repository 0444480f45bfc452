# Everything runs in a virtual environment of its own; nothing is installed outside it.
VENV   ?= .venv
PYTHON ?= python3
# torch without a version would also be right, but on Linux it brings several GB of CUDA libraries.
TORCH  ?= torch==2.13.0
# Tests run side by side, with one thread each: exporting a network, which most of the time goes into, uses one core.
WORKERS ?= 2
BIN    := $(VENV)/bin
PYTEST  = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --max-worker-restart 0
SOURCES = tweenrt/*.py export runtime plugins calibration cli tests benchmarks

.PHONY: help demo plugins test test-all test-vapoursynth check lint types format clean
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(BIN)/.ready: pyproject.toml
	@echo "==> making the virtual environment $(VENV) (a minute or two; torch is the large part)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[export,video]'
	@touch $@

$(BIN)/.ready-to-develop: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(BIN)/.ready  ## weights, export, a doubled example clip, and its quality in numbers
	$(BIN)/python examples/demo.py

plugins:  ## the CUDA kernels as a TensorRT plugin library (needs CMake and nvcc; ARCHITECTURES=87 for one)
	cmake -S plugins -B build/plugins $(if $(ARCHITECTURES),-DCMAKE_CUDA_ARCHITECTURES=$(ARCHITECTURES))
	cmake --build build/plugins --parallel

test: $(BIN)/.ready-to-develop  ## the tests; no GPU and no trained weights needed
	$(PYTEST)

test-all: $(BIN)/.ready-to-develop  ## the tests, and every graph of every network (about an hour on two cores)
	$(PYTEST) -m ""

test-vapoursynth:  ## the VapourSynth filter, in an environment of its own (PYTHON=python3.12 or newer)
	$(PYTHON) -m venv $(VENV)-vapoursynth
	$(VENV)-vapoursynth/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[video,vapoursynth]' \
	  onnx pytest pytest-timeout pytest-xdist
	$(VENV)-vapoursynth/bin/python -m pytest tests/runtime/test_vapoursynth.py tests/examples/test_vapoursynth_script.py

lint: $(BIN)/.ready-to-develop  ## formatting and lint
	$(BIN)/ruff format --check $(SOURCES) examples
	$(BIN)/ruff check $(SOURCES) examples

types: $(BIN)/.ready-to-develop  ## mypy, strict
	$(BIN)/mypy

check: lint types test  ## everything CI runs

format: $(BIN)/.ready-to-develop  ## rewrite the sources in the house's format
	$(BIN)/ruff format $(SOURCES) examples
	$(BIN)/ruff check --fix $(SOURCES) examples

clean:  ## remove what the targets made
	rm -rf $(VENV) $(VENV)-vapoursynth build dist out .mypy_cache .pytest_cache .ruff_cache
