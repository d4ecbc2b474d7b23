"""The question to TensorRT-RTX: what it refuses is named, and its end is not ours."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from edgebert.bundle.recipe import Recipe, ShapeRange  # noqa: E402
from edgebert.convert import tensorrt_rtx  # noqa: E402
from edgebert.errors import BackendError  # noqa: E402

RECIPE = Recipe("fp32", 64, ({"x": ShapeRange((1, 4), (1, 4), (1, 4))},))


@pytest.fixture
def installed() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (the extra tensorrt-check)")


def save(path: Path, nodes: list[Any]) -> Path:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y]), ir_version=8, opset_imports=domains), path)
    return path


def write(path: Path, operator: str) -> Path:
    return save(path, [helper.make_node(operator, ["x"], ["y"], name="the_node")])


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script in place of Python, which then is TensorRT-RTX's process."""

    def put(script: str) -> None:
        path = tmp_path / "process"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


@pytest.mark.usefixtures("installed")
def test_a_file_that_it_knows_is_built(tmp_path: Path) -> None:
    said_by, said = tensorrt_rtx.check(write(tmp_path / "m.onnx", "Relu"), RECIPE)
    assert said_by.startswith("TensorRT-RTX 1.")
    assert said.startswith("builds it for SM86 (")


@pytest.mark.usefixtures("installed")
def test_every_node_that_it_does_not_know_is_named(tmp_path: Path) -> None:
    def node(operator: str, reads: str, writes: str, name: str, domain: str = "") -> Any:
        return helper.make_node(operator, [reads], [writes], name=name, domain=domain)

    nodes = [
        node("Relu", "x", "a", "fine"),
        node("NoSuchOperator", "a", "b", "the_first", "nowhere"),
        node("NoSuchOperator", "b", "c", "the_second", "nowhere"),
        node("Det", "c", "d", "the_third"),
        node("OtherOperator", "d", "y", "", "nowhere"),
    ]
    path = save(tmp_path / "m.onnx", nodes)
    with pytest.raises(BackendError) as caught:
        tensorrt_rtx.check(path, RECIPE)
    message = caught.value.message
    assert re.match(r"TensorRT-RTX 1\.[^ ]* refuses the file: NoSuchOperator \(the_first, the_second\): ", message)
    assert "; Det (the_third): " in message
    assert "; OtherOperator (node 4): " in message
    assert "fine" not in message


@pytest.mark.usefixtures("installed")
def test_what_the_builder_says_is_told(tmp_path: Path) -> None:
    """The parser takes the file, and no plan can have these shapes."""
    recipe = Recipe("fp32", 64, ({"x": ShapeRange((1, 8), (1, 8), (1, 8))},))
    with pytest.raises(BackendError, match=r"refuses the file: .*Input tensor x has static dimensions"):
        tensorrt_rtx.check(write(tmp_path / "m.onnx", "Relu"), recipe)


@pytest.mark.usefixtures("installed")
def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(BackendError, match="refuses the file"):
        tensorrt_rtx.check(tmp_path / "m.onnx", RECIPE)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -SEGV $$", "ended with signal 11 and no answer; it said nothing"),
        ("echo 'cannot load libtensorrt' >&2; exit 3", "ended with code 3 and no answer; cannot load libtensorrt"),
        ("exit 0", "ended with code 0 and no answer"),
        ("echo half an answ", "ended with code 0 and no answer"),
    ],
)
def test_a_crash_is_told(script: str, said: str, stand_in: Callable[[str], None], tmp_path: Path) -> None:
    stand_in(script)
    with pytest.raises(BackendError) as caught:
        tensorrt_rtx.check(tmp_path / "m.onnx", RECIPE)
    assert said in caught.value.message


@pytest.mark.usefixtures("installed")
def test_one_that_hangs_is_given_up(
    stand_in: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("exec sleep 60")
    monkeypatch.setattr(tensorrt_rtx, "_TIME_LIMIT_S", 0.2)
    with pytest.raises(BackendError, match=r"TensorRT-RTX 1\.[^ ]* did not build the file within 0\.2 s"):
        tensorrt_rtx.check(tmp_path / "m.onnx", RECIPE)


def test_without_it_the_evidence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_rtx, "_MODULE", "no_such_module")
    said_by, said = tensorrt_rtx.check(tmp_path / "m.onnx", RECIPE)
    assert said_by == "TensorRT-RTX"
    assert said.startswith("not asked: not installed")
