"""`make test-gpu` and `benchmarks/gpu.py` as programs, on a board of stand-ins: they pass, and fail where they must."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import judge
from tests.jetson.board import ROOT, FakeBoard
from tests.jetson.late_fault import VARIABLE

SUITE = ROOT / "tests/gpu"
_PATIENCE_S = 300
_INTERRUPTED = "test_interrupted_build.py"


def make_board(folder: Path, version: str) -> FakeBoard:
    """A board whose GPU has memory of its own, so that a test may take all of it."""
    board = FakeBoard(folder, version, gpu="Stand-in", capability=(9, 0), memory=2_000_000_000)
    board.put_driver(INTEGRATED="0")
    return board


def suite(board: FakeBoard, bundle: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the suite, or the tests of it that are named, as `make test-gpu` does."""
    options = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "no:cacheprovider", "-m", "gpu"]
    command = [sys.executable, "-m", "pytest", *map(str, [*options, *(arguments or [SUITE])])]
    environment = board.environment(EDGEBERT_SHARED=str(board.folder / "none"), **variables)
    environment.setdefault("EDGEBERT_GPU_BUNDLE", str(bundle))
    return subprocess.run(
        command, capture_output=True, text=True, cwd=board.folder, env=environment, timeout=_PATIENCE_S, check=False
    )


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many tests passed, failed, and so on."""
    return {kind: int(number) for number, kind in re.findall(r"(\d+) (\w+)", done.stdout.splitlines()[-1])}


def benchmark(board: FakeBoard, bundle: Path, out: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    quick = ["--rounds", "2", "--calls", "3", "--seconds", "0.05"]
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), str(bundle), "-o", str(out), *quick]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=board.folder,
        env=board.environment(**variables),
        timeout=_PATIENCE_S,
        check=False,
    )


@pytest.mark.full  # half a minute; make test runs the suite with one fault of CUDA
def test_the_suite_passes(tmp_path: Path, jetson_bundle: Path) -> None:
    board = make_board(tmp_path, "10.3")
    done = suite(board, jetson_bundle, SUITE, "--ignore", SUITE / _INTERRUPTED)
    assert done.returncode == 0, done.stdout[-4000:]
    assert set(counts(done)) <= {"passed", "warning", "warnings", "in"}, done.stdout
    assert "what was measured" in done.stdout
    assert "tensorrt-int8: max |difference|" in done.stdout
    assert not any(board.plans.iterdir()), "the user's plans are left alone"
    assert board.calls("build")


@pytest.mark.full  # a run of the whole suite each: `make test` runs it with one fault of CUDA
@pytest.mark.parametrize("version", ["8.6", "11"])
def test_the_suite_passes_with_other_versions(version: str, tmp_path: Path, jetson_bundle: Path) -> None:
    board = make_board(tmp_path, version)
    chosen = [SUITE / "test_build.py", f"{SUITE / 'test_answers.py'}::test_parity_with_onnx_runtime"]
    done = suite(board, jetson_bundle, *chosen)
    assert done.returncode == 0, done.stdout[-4000:]
    told = counts(done)
    assert told["passed"] >= 7
    # TensorRT 8.6 does not take int8, and the reason is printed.
    assert ("tensorrt-int8 cannot run here" in done.stdout) == (version == "8.6")
    assert ("skipped" in told) == (version == "8.6")


@pytest.mark.full  # a run of the whole suite each: `make test` runs it with one fault of CUDA
@pytest.mark.parametrize(("version", "chosen", "passed"), [("8.6", "ctrl_c", 1), ("10.3", "test", 3)])
def test_interrupting_a_build_passes(
    version: str, chosen: str, passed: int, tmp_path: Path, jetson_bundle: Path
) -> None:
    board = make_board(tmp_path, version)
    done = suite(board, jetson_bundle, SUITE / _INTERRUPTED, "-k", chosen, FAKE_TENSORRT_FAULT="hang-build")
    assert done.returncode == 0, done.stdout[-4000:]
    assert counts(done)["passed"] == passed


@pytest.mark.full  # a run of the whole suite each: `make test` runs it with one fault of CUDA
@pytest.mark.parametrize("fault", ["wrong-answers", "nan", "oom-build", "crash-build", "deserialize-none"])
def test_the_suite_fails_where_the_device_does(fault: str, tmp_path: Path, jetson_bundle: Path) -> None:
    board = make_board(tmp_path, "10.3")
    chosen = [f"{SUITE / name}" for name in ("test_build.py", "test_answers.py::test_parity_with_onnx_runtime")]
    done = suite(board, jetson_bundle, *chosen, "-k", "fp16", FAKE_TENSORRT_FAULT=fault)
    assert done.returncode == 1, done.stdout[-4000:]
    assert "passed" not in counts(done), done.stdout[-4000:]


@pytest.mark.full  # a run of the whole suite each: `make test` runs it with one fault of CUDA
@pytest.mark.parametrize(
    ("fault", "chosen"),
    [
        ("wrong-answers", "test_answers.py::test_parity_with_onnx_runtime"),
        ("wrong-answers", "test_commands.py::test_verify"),
        ("nan", "test_answers.py::test_masks_do_not_overflow"),
        ("oom-context", "test_answers.py::test_sixteen_threads_answer_as_one"),
    ],
)
def test_the_suite_fails_where_good_plans_run_badly(
    fault: str, chosen: str, tmp_path: Path, jetson_bundle: Path
) -> None:
    board = make_board(tmp_path, "10.3")
    options = ["-p", "tests.jetson.late_fault", "-k", "fp16 or verify"]
    done = suite(board, jetson_bundle, f"{SUITE / chosen}", *options, **{VARIABLE: fault})
    assert done.returncode == 1, done.stdout[-4000:]
    assert set(counts(done)) & {"passed", "failed", "error", "errors"} == {"failed"}, done.stdout[-4000:]


def test_the_suite_fails_where_cuda_breaks(tmp_path: Path, jetson_bundle: Path) -> None:
    board = make_board(tmp_path, "10.3")
    chosen = f"{SUITE / 'test_answers.py'}::test_parity_with_onnx_runtime"
    done = suite(board, jetson_bundle, chosen, "-k", "fp16", FAKE_CUDA_FAULT="sticky:40")
    assert done.returncode == 1, done.stdout[-4000:]
    assert "passed" not in counts(done)
    assert "cudaErrorIllegalAddress" in done.stdout


def test_the_suite_says_when_cuda_graphs_cannot_be_used(tmp_path: Path, jetson_bundle: Path) -> None:
    board = make_board(tmp_path, "10.3")
    chosen = f"{SUITE / 'test_answers.py'}::test_cuda_graphs_change_nothing"
    done = suite(board, jetson_bundle, chosen, FAKE_CUDA_FAULT="no-capture")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "CUDA graphs: cannot be used: cudaStreamBeginCapture" in done.stdout


def test_without_a_gpu_the_suite_fails_with_the_reason_when_it_is_asked_for(
    tmp_path: Path, jetson_bundle: Path
) -> None:
    board = make_board(tmp_path, "10.3")
    board.remove_driver()
    done = suite(board, jetson_bundle)
    assert done.returncode == 1
    assert "The GPU suite needs an NVIDIA GPU: there is no NVIDIA driver (libcuda.so.1)." in done.stdout + done.stderr


def test_without_a_gpu_the_suite_is_skipped_with_the_reason_elsewhere(tmp_path: Path, jetson_bundle: Path) -> None:
    board = make_board(tmp_path, "10.3")
    board.remove_driver()
    done = suite(board, jetson_bundle, SUITE, "-m", "not full")
    assert done.returncode == 0, done.stdout
    assert set(counts(done)) <= {"skipped", "warning", "warnings", "in"}
    assert "needs an NVIDIA GPU" in done.stdout
    assert board.calls() == []


def test_without_a_bundle_it_says_how_to_make_one(tmp_path: Path, jetson_bundle: Path) -> None:
    board = make_board(tmp_path, "10.3")
    done = suite(board, jetson_bundle, EDGEBERT_GPU_BUNDLE=str(tmp_path / "gone"))
    assert done.returncode == 1
    assert "EDGEBERT_GPU_BUNDLE names no bundle" in done.stdout + done.stderr


@pytest.mark.full  # ten seconds; how it judges has a test of its own
def test_the_benchmark(tmp_path: Path, jetson_bundle: Path) -> None:
    board, out = make_board(tmp_path, "10.3"), tmp_path / "figures.json"
    done = benchmark(board, jetson_bundle, out)
    report = json.loads(out.read_text())
    # 0 or 4: a shared CPU in the place of a GPU holds no ratio.
    held = [verdict["held"] for verdict in report["verdicts"]]
    assert done.returncode == (0 if all(held) else 4), done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith(("held", "MISSED"))]
    assert [line.startswith("held") for line in shown] == held
    assert list(report["artifacts"]) == ["onnx-fp32", "tensorrt-fp16", "tensorrt-fp32", "tensorrt-int8"]
    for told in report["artifacts"].values():
        assert set(told["lengths"]) == set(told["answer_ms"]) == {"16", "64"}
        assert all(one["p50_ms"] > 0 and one["count"] >= 2 for one in told["lengths"].values())
        assert all(value > 0 for value in told["texts_per_second"].values())
        is_plan = told["backend"] == "tensorrt"
        assert ("build" in told) == is_plan
        assert all(("ratios" in one) == is_plan for one in told["lengths"].values())
    assert len(held) == 3 * (2 + 1)
    assert not any(board.plans.iterdir()), "the user's plans are left alone"


@pytest.mark.parametrize(
    ("run", "seconds", "held"), [(1.14, 1.9, [True, True]), (1.16, 1.9, [False, True]), (1.0, 2.0, [True, False])]
)
def test_the_benchmark_judges_by_the_limits(run: float, seconds: float, held: list[bool]) -> None:
    one = {"p50_ms": run, "enqueue_ms": 1.3, "graph_ms": 1.0, "ratios": [run, 0.9, 9.0]}
    plan = {"backend": "tensorrt", "lengths": {"16": one}, "first_answer_s": [seconds, 0.1, 9.0]}
    cpu = {"backend": "onnx", "lengths": {"16": {"p50_ms": 99.0}}, "first_answer_s": [99.0]}
    verdicts = judge({"tensorrt-fp16": plan, "onnx-fp32": cpu})
    assert [verdict["held"] for verdict in verdicts] == held
    assert "tensorrt-fp16 at 16 tokens" in verdicts[0]["text"]
    assert "cache-hit start" in verdicts[1]["text"]


def test_the_benchmark_ends_where_a_plan_is_wrong(tmp_path: Path, jetson_bundle: Path) -> None:
    board, out = make_board(tmp_path, "10.3"), tmp_path / "figures.json"
    done = benchmark(board, jetson_bundle, out, FAKE_TENSORRT_FAULT="wrong-answers")
    assert done.returncode == 1
    assert "fails its self-test" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_ctrl_c_ends_the_benchmark(tmp_path: Path, jetson_bundle: Path) -> None:
    board = make_board(tmp_path, "10.3")
    environment = board.environment(FAKE_TENSORRT_FAULT="hang-build")
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), str(jetson_bundle), "-o", str(tmp_path / "x.json")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, cwd=tmp_path, start_new_session=True)
    assert process.stderr is not None
    while b"building" not in process.stderr.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.decode().endswith("Aborted!\n")
    assert not (tmp_path / "x.json").exists()
