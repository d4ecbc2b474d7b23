from __future__ import annotations

import sys

import pytest


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty package folder that replaces the installed packages."""
    kept = [path for path in sys.path if "-packages" not in path]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *kept])
    for module in ("onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime", "tensorrt"):
        # An earlier test may have imported it, and an imported module is found whatever the path says.
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path
