"""The TensorRT engine, on boards whose TensorRT computes right answers and takes nothing that the real one refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.jetson.board import FakeBoard
from tests.runtime.engines.on_board import VERSIONS, Board, nothing_is_left, use

CLOSE = {"fp32": 1e-4, "fp16": 1e-3, "int8": 0.05}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_answers_are_those_of_onnx_runtime(version: str, precision: str, board: Board, jetson_bundle: Path) -> None:
    if (version, precision) == ("8.6", "int8"):
        pytest.skip("int8 needs TensorRT 10")
    orin = board(version)
    artifact = f"tensorrt-{precision}"
    assert orin.edgebert("build-plan", jetson_bundle, "--artifact", artifact).returncode == 0
    orin.forget()
    told = use(orin, jetson_bundle, artifact=artifact, strict=True)
    right = use(orin, jetson_bundle, artifact="onnx-fp32", strict=True)
    assert (told["artifact"], told["warnings"]) == (artifact, [])
    for ours, theirs in zip(told["answers"], right["answers"], strict=True):
        assert ours["label"] == theirs["label"]
        assert ours["score"] == pytest.approx(
            theirs["score"], abs={"fp32": 1e-4, "fp16": 1e-3, "int8": 0.05}[precision]
        )
    assert told["facts"]["CUDA graphs"] == "on"
    assert orin.calls("build") == []
    assert nothing_is_left(orin)


def test_without_a_plan_the_next_artifact_answers_and_the_warning_says_what_to_run(
    board: Board, jetson_bundle: Path
) -> None:
    orin = board()
    told = use(orin, jetson_bundle)
    assert told["artifact"] == "onnx-fp32"
    [warning] = told["warnings"]
    assert warning.startswith("BackendFallbackWarning: Artifact tensorrt-fp16 (and tensorrt-int8, tensorrt-fp32)")
    assert "No plan of tensorrt-fp16 is built on this device for Orin and TensorRT 10.3.0" in warning
    assert "`edgebert build-plan`" in warning
    assert "build=True" in warning
    assert told["verdicts"]["tensorrt-fp16"][0] == "no plan"
    assert orin.calls() == []


def test_a_missing_plan_is_an_error_if_asked(board: Board, jetson_bundle: Path) -> None:
    code = "import sys, edgebert; edgebert.load(sys.argv[1], strict=True)"
    done = board().python(code, jetson_bundle)
    assert "edgebert.errors.PlanError: No plan of tensorrt-fp16 is built" in done.stderr


def test_what_to_run_is_said_when_nothing_else_may_run(board: Board, jetson_bundle: Path) -> None:
    done = board().edgebert("predict", jetson_bundle, "x", "--artifact", "tensorrt-fp16")
    assert done.returncode == 1
    assert "tensorrt-fp16: No plan of tensorrt-fp16 is built" in done.stderr
    assert "Hint: Run `edgebert build-plan` with the bundle." in done.stderr


def test_load_builds_only_if_asked_and_only_once(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    first = use(orin, jetson_bundle, build=True)
    assert (first["artifact"], first["warnings"]) == ("tensorrt-fp16", [])
    second = use(orin, jetson_bundle, build=True)
    assert second["answers"] == first["answers"]
    assert len(orin.calls("build")) == 1


def test_a_build_that_fails_in_load_is_a_fallback(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    told = use(orin, jetson_bundle, build=True, FAKE_TENSORRT_FAULT="oom-build")
    assert told["artifact"] == "onnx-fp32"
    assert len(orin.calls("build")) == 1  # minutes, for each that is tried
    [warning] = told["warnings"]
    assert "tensorrt-fp16 is not built: TensorRT 10.3.0 has too little memory" in warning


def test_a_cache_that_cannot_be_written_is_a_fallback(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    (orin.folder / "occupied").write_text("")
    told = use(orin, jetson_bundle, build=True, EDGEBERT_PLAN_CACHE=str(orin.folder / "occupied/plans"))
    assert told["artifact"] == "onnx-fp32"
    assert "occupied" in told["warnings"][0]


def test_a_plan_of_the_users_choice_needs_no_warning_for_a_better_one(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    assert orin.edgebert("build-plan", jetson_bundle, "--artifact", "tensorrt-int8").returncode == 0
    told = use(orin, jetson_bundle)
    assert (told["artifact"], told["warnings"]) == ("tensorrt-int8", [])
    assert told["verdicts"]["tensorrt-fp16"][0] == "no plan"


def test_what_executes_is_what_tensorrt_tells(built: FakeBoard, jetson_bundle: Path) -> None:
    done = built.edgebert("inspect", jetson_bundle, "--ops", "--artifact", "tensorrt-fp16", "--json")
    [listing] = json.loads(done.stdout)
    operators = listing["execution"]["operators"]
    assert {one["executed_by"] for one in operators} == {"TensorRT"}
    assert any(one["type"] == "Normalization" and "FP32" in one["precision"] for one in operators)
    assert listing["execution"]["kernels"]
    other = built.edgebert("inspect", jetson_bundle, "--ops", "--artifact", "tensorrt-fp32")
    assert "tensorrt-fp32: no plan" in other.stdout


def test_verify_tells_of_plans_that_are_not_built(built: FakeBoard, jetson_bundle: Path) -> None:
    done = built.edgebert("verify", jetson_bundle)
    assert done.returncode == 0
    assert "tensorrt-fp16: passed in tensorrt 10.3.0" in done.stdout
    assert "tensorrt-int8: no plan in tensorrt 10.3.0: No plan of tensorrt-int8 is built" in done.stdout
