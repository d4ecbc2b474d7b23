"""The stand-in for TensorRT has what the real one has, version by version, and refuses what that refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.jetson.board import FakeBoard
from tests.jetson.fake_tensorrt import VERSIONS, make_module
from tests.jetson.scripts import PRELUDE, aborts, run


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_not_recorded_does_not_exist(version: str) -> None:
    module: Any = make_module(version)
    for owner, name in (
        (module, "Engine"),
        (module.BuilderFlag, "FP17"),
        (module.Builder, "build"),
        (module.Logger(), "nothing"),
        (module.Dims([1]), "shape"),
    ):
        with pytest.raises(AttributeError):
            getattr(owner, name)
    with pytest.raises(AttributeError):
        module.Logger().level = 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_with_other_arguments_than_recorded_is_refused(version: str) -> None:
    module: Any = make_module(version)
    severity = module.ILogger.Severity
    logger = module.Logger(min_severity=severity.ERROR)
    logger.min_severity = severity.INFO
    for wrong in (
        lambda: module.Logger(severity.ERROR, 1),
        lambda: module.Logger(severity=severity.ERROR),
        lambda: module.Logger(1),
        lambda: module.Builder(),
        lambda: module.Builder("a logger"),
        lambda: module.INetworkDefinition(),
        lambda: module.Dims(["a"]),
        lambda: module.DataType.HALF < module.DataType.FLOAT,
        lambda: list(module.DataType),
        lambda: setattr(logger, "min_severity", 1),
        lambda: module.volume(),
    ):
        with pytest.raises((TypeError, ValueError)):
            wrong()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_subclass_must_call_the_constructor(version: str) -> None:
    module: Any = make_module(version)

    class Silent(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match="__init__\\(\\) must be called when overriding __init__"):
        Silent()


def test_the_versions_differ_where_nvidia_documents_it() -> None:
    old, middle, new = (make_module(version) for version in VERSIONS)
    assert [hasattr(one, "IProgressMonitor") for one in (old, middle, new)] == [False, True, True]
    assert [hasattr(one.BuilderFlag, "FP16") for one in (old, middle, new)] == [True, True, False]
    assert [hasattr(one.BuilderFlag, "INT8") for one in (old, middle, new)] == [True, True, False]
    flags = [set(one.NetworkDefinitionCreationFlag.__members__) for one in (old, middle, new)]
    assert ["STRONGLY_TYPED" in one for one in flags] == [False, True, True]
    assert ["EXPLICIT_BATCH" in one for one in flags] == [True, True, False]
    assert [hasattr(one.ILayer, "precision") for one in (old, middle, new)] == [True, True, False]
    assert [hasattr(one.DataType, "INT64") for one in (old, middle, new)] == [False, True, True]
    assert [hasattr(one, "ExecutionContextAllocationStrategy") for one in (old, middle, new)] == [False, True, True]
    assert [hasattr(one.IExecutionContext, "set_device_memory") for one in (old, middle, new)] == [False, True, True]
    assert [hasattr(one.ICudaEngine, "device_memory_size") for one in (old, middle, new)] == [True, True, False]
    assert [hasattr(one.ICudaEngine, "device_memory_size_v2") for one in (old, middle, new)] == [False, True, True]
    assert [hasattr(one.PreviewFeature, "PROFILE_SHARING_0806") for one in (old, middle, new)] == [True, True, False]
    assert [hasattr(one.ParserError, "node_name") for one in (old, middle, new)] == [False, True, True]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("driver", ["missing", "broken"])
def test_without_a_driver_nothing_can_be_made(version: str, driver: str, tmp_path: Path) -> None:
    board = FakeBoard(tmp_path, version)
    board.remove_driver() if driver == "missing" else board.put_driver(INIT="100")
    run(
        board,
        """
try:
    trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
except TypeError as error:
    assert "nullptr" in str(error)
else:
    raise SystemExit("a Builder was made")
""",
    )
    assert "without a driver" in aborts(board, "trt.Runtime(log)")
    assert [one["event"] for one in board.calls()] == ["Builder", "Runtime", "abort"]


@pytest.mark.parametrize("version", VERSIONS)
def test_faults_happen_when_asked_for(version: str, model: Path, boards: dict[str, FakeBoard]) -> None:
    board = boards[version]
    code = """
builder = trt.Builder(log)
plan = builder.build_serialized_network(parsed(builder, sys.argv[1]), configured(builder, (1, 8)))
assert plan is None and any("OutOfMemory" in one for one in log.errors)
"""
    run(board, code, model, FAKE_TENSORRT_FAULT="oom-build")
    done = board.python(PRELUDE + code, model, FAKE_TENSORRT_FAULT="crash-build")
    assert done.returncode == -9
    code = """
engine, on = engine_of(built(sys.argv[1], (1, 8))), stream()
context, scores = ready(engine, 0, 8, on)
assert context.execute_async_v3(on) and cuda.cudaStreamSynchronize(on) == 0
print(*scores_at(scores))
"""
    answers = {
        fault: [float(one) for one in board.python(PRELUDE + code, model, FAKE_TENSORRT_FAULT=fault).stdout.split()]
        for fault in ("", "wrong-answers", "nan")
    }
    assert np.allclose(np.subtract(answers["wrong-answers"], answers[""]), 1) and np.isnan(answers["nan"]).all()
    code = """
engine = engine_of(built(sys.argv[1], (1, 8)))
assert engine.create_execution_context() is None and "OutOfMemory" in log.errors[-1]
"""
    run(board, code, model, FAKE_TENSORRT_FAULT="oom-context")


def test_a_missing_library_is_an_import_error(boards: dict[str, FakeBoard]) -> None:
    done = boards["10.3"].python("import tensorrt", FAKE_TENSORRT_FAULT="no-library")
    assert done.returncode == 1 and "ImportError: libnvinfer.so: cannot open shared object file" in done.stderr
