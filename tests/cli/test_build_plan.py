"""``edgebert build-plan``, on boards with each TensorRT."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebert.bundle.recipe import parse_recipe
from tests.jetson.board import FakeBoard

VERSIONS = ("8.6", "10.3", "11")
PLAN = "*.plan"
Board = Callable[..., FakeBoard]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return lambda version="10.3", **more: FakeBoard(tmp_path / "board", version, **more)


def plans(board: FakeBoard) -> list[Path]:
    return sorted(board.plans.glob(PLAN))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plan_is_built_once_tested_and_then_used(version: str, board: Board, jetson_bundle: Path) -> None:
    orin = board(version)
    first = orin.edgebert("build-plan", jetson_bundle)
    assert first.returncode == 0, first.stderr
    assert "tensorrt-fp16: built in " in first.stdout
    assert "Orin (compute capability 8.7), TensorRT " in first.stdout
    assert "tensorrt-fp16: self-test passed: 7 runs at 16, 64 tokens" in first.stdout
    assert [path.stat().st_mode & 0o777 for path in plans(orin)] == [0o600]

    again = orin.edgebert("build-plan", jetson_bundle)
    assert again.returncode == 0
    assert "the plan is there already" in again.stdout
    assert len(orin.calls("build")) == 1

    answer = orin.edgebert("predict", jetson_bundle, "I loved it.", "--explain")
    assert answer.stdout.startswith("POSITIVE\t")
    assert "tensorrt-fp16 on tensorrt" in answer.stderr
    assert "CUDA graphs on" in answer.stderr
    assert "Warning" not in answer.stderr
    assert len(orin.calls("build")) == 1
    assert all(not any(leak[kind] for kind in ("bytes", "streams", "graphs", "events")) for leak in orin.leaks())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_each_tensorrt_is_asked_in_its_own_way(version: str, precision: str, board: Board, jetson_bundle: Path) -> None:
    orin = board(version)
    done = orin.edgebert("build-plan", jetson_bundle, "--artifact", f"tensorrt-{precision}")
    assert done.returncode == 0, done.stderr
    [network] = orin.calls("create_network")
    [build] = orin.calls("build")
    recipe = parse_recipe((jetson_bundle / f"artifacts/tensorrt-{precision}/recipe.json").read_bytes())
    assert build["workspace"] == recipe.workspace_mb * 10**6
    asked = [{name: [list(s.min), list(s.opt), list(s.max)] for name, s in one.items()} for one in recipe.profiles]
    assert build["profiles"] == asked
    assert build["verbosity"] == "DETAILED"
    assert "TF32" not in build["flags"]
    weak = version == "8.6"
    assert network["flags"] == (["EXPLICIT_BATCH"] if weak else ["STRONGLY_TYPED"])
    assert build["preview"] == (["PROFILE_SHARING_0806"] if weak else [])
    if weak and precision == "fp16":
        assert sorted(build["flags"]) == ["FP16", "PREFER_PRECISION_CONSTRAINTS"]
        kept = build["precisions"]
        assert set(kept.values()) == {"FLOAT"}
        assert sum("layer_norm" in name for name in kept) == 7  # two a layer, and that of the embeddings
        assert build["output_types"]
    else:
        assert (build["flags"], build["precisions"]) == ([], {})


@pytest.mark.parametrize("version", ["10.3", "11"])
def test_int8_is_built_from_the_types_in_the_file(version: str, board: Board, jetson_bundle: Path) -> None:
    orin = board(version)
    done = orin.edgebert("build-plan", jetson_bundle, "--artifact", "tensorrt-int8")
    assert done.returncode == 0, done.stderr
    assert [build["flags"] for build in orin.calls("build")] == [[]]
    assert "self-test passed" in done.stdout


def test_int8_is_not_for_tensorrt_8(board: Board, jetson_bundle: Path) -> None:
    orin = board("8.6")
    done = orin.edgebert("build-plan", jetson_bundle, "--artifact", "tensorrt-int8")
    assert done.returncode == 1
    assert "tensorrt-int8: needs tensorrt >= 10.0; tensorrt 8.6.0: too old" in done.stderr
    assert orin.calls() == []


def test_timings_of_one_build_serve_the_next(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    assert "with timings" not in orin.edgebert("build-plan", jetson_bundle).stdout
    forced = orin.edgebert("build-plan", jetson_bundle, "--force")
    assert "with timings of an earlier build" in forced.stdout
    first, second = orin.calls("build")
    assert first["timings_reused"] == 0
    assert second["timings_reused"] == first["timings_made"] > 0
    # Others' timings would choose other kernels: one bit, and they are not used.
    [kept] = (orin.plans / "timings").glob(PLAN)
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    assert "with timings" not in orin.edgebert("build-plan", jetson_bundle, "--force").stdout


def test_results_as_json(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    done = orin.edgebert("build-plan", jetson_bundle, "--json", "--artifact", "tensorrt-int8", "--quiet")
    results: list[dict[str, Any]] = json.loads(done.stdout)
    [result] = results
    assert done.stderr == ""
    assert result["artifact"] == "tensorrt-int8"
    assert result["built"] is True
    assert result["key"]["gpu"] == "Orin"
    assert result["self_test"]["lengths"] == [16, 64]
    [path] = plans(orin)
    assert path.stat().st_size > result["bytes"] > 0
    [again] = json.loads(orin.edgebert("build-plan", jetson_bundle, "--json", "--artifact", "tensorrt-int8").stdout)
    assert again["built"] is False


def test_a_node_that_tensorrt_refuses_is_named(board: Board, jetson_bundle: Path) -> None:
    done = board().edgebert("build-plan", jetson_bundle, FAKE_TENSORRT_FAULT="refuse:Erf")
    assert done.returncode == 1
    assert "TensorRT 10.3.0 does not take model.onnx: Erf node_Erf" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("oom-build", "has too little memory to build the plan: "),
        ("crash-build", "the process was killed by SIGKILL; the system does this when memory runs out"),
    ],
)
def test_a_build_that_fails_leaves_nothing(fault: str, said: str, board: Board, jetson_bundle: Path) -> None:
    orin = board()
    done = orin.edgebert("build-plan", jetson_bundle, FAKE_TENSORRT_FAULT=fault)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Hint: " in done.stderr
    assert [path.name for path in orin.plans.iterdir()] == []


@pytest.mark.parametrize("fault", ["wrong-answers", "nan"])
def test_a_plan_that_answers_wrongly_is_removed(fault: str, board: Board, jetson_bundle: Path) -> None:
    orin = board()
    done = orin.edgebert("build-plan", jetson_bundle, FAKE_TENSORRT_FAULT=fault)
    assert done.returncode == 4
    assert "fails its self-test on this machine" in done.stderr
    assert "The plan has been removed." in done.stderr
    assert plans(orin) == []


@pytest.mark.parametrize("fault", ["deserialize-none", "fail-run"])
def test_a_plan_that_does_not_run_is_removed(fault: str, board: Board, jetson_bundle: Path) -> None:
    orin = board()
    done = orin.edgebert("build-plan", jetson_bundle, FAKE_TENSORRT_FAULT=fault)
    assert done.returncode == 1
    assert "The plan does not run, and has been removed." in done.stderr
    assert "--force" not in done.stderr
    assert plans(orin) == []


def test_too_little_memory_for_the_moment_keeps_the_plan(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    done = orin.edgebert("build-plan", jetson_bundle, FAKE_TENSORRT_FAULT="oom-context")
    assert done.returncode == 1
    assert "OutOfMemory" in done.stderr
    assert "Close other programs" in done.stderr
    assert len(plans(orin)) == 1


@pytest.mark.parametrize("version", ["8.6", "10.3"])
def test_an_interrupted_build_ends_and_leaves_nothing(version: str, board: Board, jetson_bundle: Path) -> None:
    orin = board(version)
    process = orin.start("-m", "edgebert", "build-plan", jetson_bundle, FAKE_TENSORRT_FAULT="hang-build")
    deadline = time.monotonic() + 60
    while not orin.calls("parse") and time.monotonic() < deadline:
        time.sleep(0.05)
    [builder] = orin.calls("Builder")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert not Path(f"/proc/{builder['pid']}").exists()
    assert plans(orin) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_build_ends_with_the_process_that_waits_for_it(number: int, board: Board, jetson_bundle: Path) -> None:
    orin = board("8.6")
    process = orin.start("-m", "edgebert", "build-plan", jetson_bundle, FAKE_TENSORRT_FAULT="hang-build")
    deadline = time.monotonic() + 60
    while not orin.calls("parse") and time.monotonic() < deadline:
        time.sleep(0.05)
    [builder] = orin.calls("Builder")
    process.send_signal(number)
    process.communicate(timeout=30)
    while Path(f"/proc/{builder['pid']}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{builder['pid']}").exists()
    assert plans(orin) == []


def test_what_lies_there_of_other_versions_is_told_and_removed_if_asked(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    orin.edgebert("build-plan", jetson_bundle)
    [old] = plans(orin)
    orin.cuda = (12, 8)
    orin.put_driver()
    told = orin.edgebert("build-plan", jetson_bundle)
    assert f"not used: the plan at '{old}' is stale: cuda_driver was '12.6' and is '12.8'" in told.stdout
    assert len(plans(orin)) == 2
    pruned = orin.edgebert("build-plan", jetson_bundle, "--prune")
    assert f"removed: the plan at '{old}' is stale" in pruned.stdout
    assert old not in plans(orin)
    assert len(plans(orin)) == 1
    assert "removed" not in orin.edgebert("build-plan", jetson_bundle, "--prune").stdout


def test_a_plan_for_another_gpu_is_not_removed(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    orin.edgebert("build-plan", jetson_bundle)
    [old] = plans(orin)
    orin.put_driver(GPUS='"Orin NX"')
    told = orin.edgebert("build-plan", jetson_bundle, "--prune")
    assert "is foreign: gpu was 'Orin' and is 'Orin NX'" in told.stdout
    assert old in plans(orin)


def test_without_a_driver_nothing_of_tensorrt_is_called(board: Board, jetson_bundle: Path) -> None:
    orin = board("8.6")
    orin.remove_driver()
    done = orin.edgebert("build-plan", jetson_bundle)
    assert done.returncode == 1
    assert "needs an NVIDIA GPU; there is no NVIDIA driver (libcuda.so.1)" in done.stderr
    assert orin.calls() == []


def test_a_cache_that_cannot_be_written_is_told_before_the_build(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    occupied = orin.folder / "occupied"
    occupied.write_text("")
    done = orin.edgebert("build-plan", jetson_bundle, EDGEBERT_PLAN_CACHE=str(occupied / "plans"))
    assert done.returncode == 1
    assert f"'{occupied}" in done.stderr
    assert "EDGEBERT_PLAN_CACHE" in done.stderr
    assert orin.calls() == []


def test_what_is_no_tensorrt_artifact_is_refused(board: Board, jetson_bundle: Path, bundle: Path) -> None:
    orin = board()
    for arguments, said in (
        ((jetson_bundle, "--artifact", "onnx-fp32"), "no artifact 'onnx-fp32' that is built on a device"),
        ((jetson_bundle, "--artifact", "tensorrt-fp8"), "It has: tensorrt-fp16"),
        ((bundle,), "has no artifact that is built on a device"),
        ((orin.folder / "nothing",), "There is no bundle at"),
    ):
        done = orin.edgebert("build-plan", *arguments)
        assert done.returncode == 1
        assert said in done.stderr
    assert orin.calls() == []
