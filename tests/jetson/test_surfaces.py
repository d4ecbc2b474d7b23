"""The recorded surfaces are what they say they are; what is at hand of NVIDIA's is compared with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jetson import record
from tests.jetson.fake_tensorrt import VERSIONS, make_module

FOLDER = Path(__file__).parent / "surfaces"


def load(version: str) -> dict[str, Any]:
    surface: dict[str, Any] = json.loads((FOLDER / f"{version}.json").read_bytes())
    return surface


@pytest.mark.parametrize("version", VERSIONS)
def test_a_surface_says_where_each_class_is_from(version: str) -> None:
    surface = load(version)
    assert surface["version"].startswith(version) and surface["note"] and surface["sources"]
    for group in ("enums", "classes"):
        assert {one["source"] for one in surface[group].values()} <= set(range(len(surface["sources"])))


def test_nothing_of_tensorrt_10_3_is_there_that_neither_8_6_has_nor_the_list_names() -> None:
    surface, old = load("10.3"), load("8.6")
    lines = (FOLDER / "allowed-10.3.txt").read_text().splitlines()
    allowed = {line.partition("#")[0].strip() for line in lines}
    for group, parts in (("enums", ("members",)), ("classes", ("methods", "properties"))):
        for name, one in surface[group].items():
            assert name in old[group] or name in allowed
            if name in allowed:
                continue
            for member in (member for part in parts for member in one[part]):
                known = any(member in old[group][name][part] for part in parts)
                assert known or f"{name}.{member}" in allowed, f"{name}.{member}"


def test_nothing_of_tensorrt_11_is_what_only_rtx_has() -> None:
    classes = load("11")["classes"]
    assert not {"set_compute_capability", "get_compute_capability"} & set(classes["IBuilderConfig"]["methods"])
    assert "num_compute_capabilities" not in classes["IBuilderConfig"]["properties"]
    assert "is_stream_capturable" not in classes["IExecutionContext"]["methods"]
    assert "cuda_graph_strategy" not in classes["IRuntimeConfig"]["properties"]


def test_what_a_real_module_of_the_generation_of_11_has_is_recorded_as_it_has_it() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install edgebert[tensorrt-check]")
    real, surface = record.record_module("tensorrt_rtx"), load("11")
    from_rtx = next(place for place, label in enumerate(surface["sources"]) if label.startswith("tensorrt-rtx"))
    compared = 0
    for name, one in surface["classes"].items():
        if one["source"] != from_rtx:
            continue
        assert one["init"] == real["classes"][name]["init"]
        for part in ("methods", "properties"):
            for member, recorded in one[part].items():
                assert recorded == real["classes"][name][part][member], f"{name}.{member}"
                compared += 1
    for name, one in surface["enums"].items():
        if one["source"] == from_rtx:
            assert one["members"].items() <= real["enums"][name]["members"].items()
            compared += len(one["members"])
    assert compared > 200


def test_the_stand_in_answers_as_a_real_module_does(tmp_path: Path) -> None:
    real: Any = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    fake: Any = make_module("11")

    def asked(call: Any) -> Any:
        try:
            told = call()
        except Exception as error:
            return type(error)
        return told if isinstance(told, (bool, int, str, tuple)) else type(told).__name__

    questions = (
        lambda trt: trt.Logger.Severity is trt.ILogger.Severity,
        lambda trt: int(trt.ILogger.Severity.ERROR),
        lambda trt: trt.Logger.INFO == trt.ILogger.Severity.INFO,
        lambda trt: trt.DataType.HALF == 1,
        lambda trt: trt.DataType.HALF < trt.DataType.FLOAT,
        lambda trt: trt.ILogger.Severity.ERROR < trt.ILogger.Severity.INFO,
        lambda trt: (repr(trt.DataType.HALF), str(trt.DataType.HALF), trt.DataType.HALF.name),
        lambda trt: list(trt.BuilderFlag),
        lambda trt: trt.BuilderFlag.FP16,
        lambda trt: trt.BuilderFlag(6).name,
        lambda trt: trt.BuilderFlag(99),
        lambda trt: trt.float16 is trt.DataType.HALF,
        lambda trt: trt.nptype(trt.int32).__name__,
        lambda trt: trt.nptype(trt.fp8),
        lambda trt: trt.volume((2, 3)),
        lambda trt: trt.Dims([1, 2]) == (1, 2),
        lambda trt: tuple(trt.Dims([1, 2])),
        lambda trt: trt.Dims([1, 2])[0:1],
        lambda trt: trt.Dims([1, 2])[7],
        lambda trt: trt.Dims("ab"),
        lambda trt: trt.INetworkDefinition(),
        lambda trt: trt.Builder(None, None),
        lambda trt: trt.Logger(severity=trt.Logger.ERROR),
        lambda trt: setattr(trt.Logger(), "anything", 1),
        lambda trt: type("Silent", (trt.ILogger,), {"__init__": lambda self: None})(),
        lambda trt: type("Silent", (trt.IProgressMonitor,), {"__init__": lambda self: None})(),
    )
    assert [asked(lambda one=one: one(fake)) for one in questions] == [
        asked(lambda one=one: one(real)) for one in questions
    ]


def test_stubs_are_recorded_like_the_module_that_they_are_made_of(tmp_path: Path) -> None:
    stubs = tmp_path / "tensorrt.pyi"
    stubs.write_text(
        '''
class BuilderFlag:
    """Flags."""
    FP16: typing.ClassVar[BuilderFlag]  # value = <BuilderFlag.FP16: 0>
    STRIP_PLAN: typing.ClassVar[BuilderFlag]  # value = <BuilderFlag.WEIGHTLESS: 19>
    WEIGHTLESS: typing.ClassVar[BuilderFlag]  # value = <BuilderFlag.WEIGHTLESS: 19>
    def __lt__(self, other: typing.Any) -> bool: ...
class Builder:
    max_threads: int
    def __init__(self, logger: ILogger) -> None: ...
    def create_network(self, flags: int = 0) -> INetworkDefinition: ...
    def broken(self, a: int = 0, b: int) -> None:
        ...
    @property
    def logger(self) -> ILogger: ...
'''
    )
    surface = record.record_stubs(stubs, "10.8")
    record.members_in_comments(stubs, surface)
    members = {"FP16": 0, "STRIP_PLAN": 19, "WEIGHTLESS": 19}
    assert surface["enums"] == {"BuilderFlag": {"members": members, "ordered": True}}
    assert surface["classes"]["Builder"] == {
        "bases": [],
        "init": [[["logger", "ILogger", False]]],
        "methods": {"create_network": [[["flags", "int", True]]]},
        "properties": {"max_threads": "rw", "logger": "r"},
    }
