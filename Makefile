# `make demo` and `make test` need Python >= 3.10 with venv, and make; they install everything else into $(VENV).

PYTHON ?= python3
VENV ?= .venv
OLD_TFLITE := .venvs/tflite-runtime
MEDIAPIPE := .venvs/mediapipe
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
GPU := .venvs/gpu
GPU_EXTRAS ?= onnx

.PHONY: demo test test-full test-gpu lint clean

demo: $(INSTALLED)
	$(BIN)/edgebert demo

test: lint
	$(BIN)/python -m pytest -m "not full"

# Also: the real 65M checkpoints through every target, and the oldest TFLite runtime, MediaPipe and the peers of
# benchmarks/peers in environments of their own.
test-full: lint $(OLD_TFLITE)/.installed $(MEDIAPIPE)/.installed
	EDGEBERT_TFLITE_RUNTIME_PYTHON=$(abspath $(OLD_TFLITE))/bin/python \
	EDGEBERT_MEDIAPIPE_PYTHON=$(abspath $(MEDIAPIPE))/bin/python \
	EDGEBERT_PEERS_ENVS=$(abspath .venvs/peers) $(BIN)/python -m pytest

# On a machine with an NVIDIA GPU, such as a Jetson: the TensorRT of $(PYTHON) is used, and the converter is not needed
# where EDGEBERT_GPU_BUNDLE names a bundle. GPU_EXTRAS=convert,tensorrt installs both instead.
test-gpu: $(GPU)/.installed-$(GPU_EXTRAS)
	$(GPU)/bin/python -m pytest -m gpu tests/gpu

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[convert,compress,dev,tensorrt-check]"
	touch $@

$(GPU)/.installed-$(GPU_EXTRAS): setup.cfg
	$(PYTHON) -m venv --system-site-packages $(GPU)
	$(GPU)/bin/python -m pip install --quiet --upgrade pip
	$(GPU)/bin/python -m pip install --quiet -e ".[$(GPU_EXTRAS)]" "pytest>=8"
	touch $@

# tflite-runtime 2.14 has no wheel for Python above 3.11 and needs numpy 1.
$(OLD_TFLITE)/.installed: setup.cfg
	$(PYTHON) -m venv $(OLD_TFLITE)
	$(OLD_TFLITE)/bin/python -m pip install --quiet --upgrade pip
	$(OLD_TFLITE)/bin/python -m pip install --quiet "tflite-runtime==2.14.0" "numpy<2" -e .
	touch $@

# Only what reads the files: the tests feed it from the other environment.
$(MEDIAPIPE)/.installed:
	$(PYTHON) -m venv $(MEDIAPIPE)
	$(MEDIAPIPE)/bin/python -m pip install --quiet --upgrade pip
	$(MEDIAPIPE)/bin/python -m pip install --quiet "mediapipe==1.2.2"
	touch $@

clean:
	rm -rf $(VENV) .venvs build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
