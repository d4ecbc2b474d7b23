"""What importing costs, and that imports point one way."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "edgebert"
HEAVY = {
    "torch", "transformers", "optimum", "onnx", "onnxruntime", "openvino", "rich", "click", "ai_edge_litert",
    "tflite_runtime", "tensorrt", "nncf", "litert_torch", "safetensors", "scipy", "pandas",
}  # fmt: skip
DEVICE = ("errors", "_version", "bundle", "devices", "runtime", "pages")
ENGINE_IMPORTS = {
    "edgebert.runtime.engines.onnx": {"onnxruntime"},
    "edgebert.runtime.engines.openvino": {"openvino"},
}

ALLOWED = {
    "errors": set[str](),
    "_version": set[str](),
    "bundle": {"errors"},
    "devices": {"errors"},
    "assets": {"errors"},
    "pages": set[str](),
    "runtime": {"bundle", "devices", "errors", "_version"},
    "convert": {"runtime", "bundle", "devices", "pages", "errors", "assets", "_version"},
    "bench": {"runtime", "bundle", "devices", "pages", "errors", "assets", "_version"},
    "compress": {"convert", "runtime", "bundle", "devices", "pages", "errors", "assets", "_version"},
    "cli": {"convert", "bench", "compress", "runtime", "bundle", "devices", "errors", "assets", "_version"},
}
"""What each room may import: ``cli -> bench | compress -> convert -> runtime -> bundle, devices -> errors``."""

SCORING = ("edgebert.convert.evaluation", "edgebert.convert.tasks")
"""The part of ``convert`` that a device may need: it reads evaluation files and scores answers; ``bench`` has it."""


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports_of(name: str) -> set[str]:
    """Every absolute module name that a module imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import; the house uses absolute ones"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "edgebert" and len(parts) > 1 else None


def test_the_walk_sees_the_package() -> None:
    assert {"edgebert", "edgebert.errors", "edgebert.runtime.engines.onnx"} <= set(MODULES)
    assert "onnxruntime" in {name.split(".")[0] for name in imports_of("edgebert.runtime.engines.onnx")}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if room(name)))
def test_imports_point_one_way(name: str) -> None:
    own = room(name)
    if own == "__main__":
        own = "cli"
    assert own in ALLOWED, f"{name} is in a room that has no rule; add it to ALLOWED"
    imported = {one for one in imports_of(name) if own != "bench" or not one.startswith(SCORING)}
    used = {room(one) for one in imported} - {own, None}
    # `from edgebert import x` at the top would import the runtime: only the command line may.
    assert used <= ALLOWED[own]
    if own != "cli":
        assert "edgebert" not in imports_of(name)


@pytest.mark.parametrize("name", sorted(name for name in MODULES if room(name) in DEVICE))
def test_a_device_needs_numpy_tokenizers_and_one_backend(name: str) -> None:
    third_party = {imported.split(".")[0] for imported in imports_of(name)} - sys.stdlib_module_names - {"edgebert"}
    assert third_party <= {"numpy", "tokenizers"} | ENGINE_IMPORTS.get(name, set())


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith(SCORING)))
def test_scoring_needs_numpy_and_no_converter(name: str) -> None:
    imported = imports_of(name)
    assert {one.split(".")[0] for one in imported} - sys.stdlib_module_names <= {"edgebert", "numpy"}
    assert all(one.startswith(SCORING) for one in imported if room(one) == "convert")


def test_import_edgebert_loads_numpy_and_tokenizers_at_most() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import edgebert"], capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert {"edgebert", "numpy", "tokenizers"} <= loaded
    assert not loaded & HEAVY
    code = "import sys; before = set(sys.modules); import edgebert; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = {name.split(".")[0] for name in done.stdout.split()}
    assert added - sys.stdlib_module_names <= {"edgebert", "numpy", "tokenizers"}


def test_the_wheel_holds_every_package() -> None:
    settings = configparser.ConfigParser()
    settings.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    listed = settings["options"]["packages"].split()
    found = {".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in PACKAGE.rglob("__init__.py")}
    assert found <= set(listed), "a package that setup.cfg does not name"
