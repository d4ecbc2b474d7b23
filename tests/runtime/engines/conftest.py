"""Boards for the tests of the TensorRT engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jetson.board import FakeBoard
from tests.runtime.engines.on_board import Board


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return lambda version="10.3", **more: FakeBoard(tmp_path / "board", version, **more)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, jetson_bundle: Path) -> FakeBoard:
    """A board with TensorRT 10.3 and the plan of tensorrt-fp16; for tests that leave it as it is."""
    orin = FakeBoard(tmp_path_factory.mktemp("built"))
    assert orin.edgebert("build-plan", jetson_bundle).returncode == 0
    orin.forget()
    return orin
