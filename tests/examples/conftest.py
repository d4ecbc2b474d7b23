"""The folder that the tutorial leaves behind: the other pages start from it, as their readers do."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tests.examples import pages


@pytest.fixture(scope="session")
def tutorial_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("torch", "transformers", "accelerate", "optimum", "onnxscript", "onnxruntime", "rich"):
        pytest.importorskip(package, reason=f"the tutorial converts a checkpoint, which needs {package}")
    if platform.machine() != "x86_64":
        pytest.skip("the tutorial shows what an x86-64 machine prints")
    folder = tmp_path_factory.mktemp("tutorial")
    pages.run_page(pages.TUTORIAL, folder)
    return folder
