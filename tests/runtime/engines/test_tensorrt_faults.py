"""Threads, memory and what may fail under the TensorRT engine: on boards where it does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.jetson.board import FakeBoard
from tests.runtime.engines.on_board import TEXTS, Board, nothing_is_left, use

THREADS = """
import json, sys, threading
import edgebert
texts = json.loads(sys.argv[2]) * 3
with edgebert.load(sys.argv[1], artifact="tensorrt-fp16") as model:
    right = [f"{one['label']} {one['score']:.5f}" for one in model(texts)]
    wrong, barrier = [], threading.Barrier(16)
    def work(number):
        barrier.wait()
        for index in range(len(texts)):
            place = (index + number) % len(texts)
            [answer] = model([texts[place]])
            if f"{answer['label']} {answer['score']:.5f}" != right[place]:
                wrong.append((number, place, answer, right[place]))
    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(json.dumps(wrong))
"""


@pytest.mark.parametrize("graphs", ["1", "0"])
def test_sixteen_threads_answer_as_one(graphs: str, built: FakeBoard, jetson_bundle: Path) -> None:
    built.forget()
    done = built.python(THREADS, jetson_bundle, json.dumps(TEXTS), EDGEBERT_CUDA_GRAPHS=graphs)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    contexts = built.calls("create_execution_context")
    assert 1 < len(contexts) <= 8  # four lanes of two lengths
    assert nothing_is_left(built)


def test_threads_for_which_there_is_no_memory_wait(built: FakeBoard, jetson_bundle: Path) -> None:
    built.forget()
    # The plan takes 6.6 MB, and each lane 0.3 MB and more.
    done = built.python(THREADS, jetson_bundle, json.dumps(TEXTS), FAKE_CUDA_MEMORY=str(7_900_000))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert nothing_is_left(built)


def test_too_little_memory_is_one_clear_error(built: FakeBoard, jetson_bundle: Path) -> None:
    told = use(built, jetson_bundle, FAKE_CUDA_MEMORY=str(1_000_000))
    assert told["artifact"] == "onnx-fp32"
    status, reason = told["verdicts"]["tensorrt-fp16"]
    assert status == "failed"
    assert "out of memory" in reason
    done = built.edgebert("predict", jetson_bundle, "x", "--artifact", "tensorrt-fp16", "--strict",
                          FAKE_CUDA_MEMORY=str(1_000_000))  # fmt: skip
    assert done.returncode == 1
    assert "Close other programs that use the GPU" in done.stderr


def test_where_no_graph_can_be_recorded_kernels_are_launched_one_by_one(built: FakeBoard, jetson_bundle: Path) -> None:
    right = use(built, jetson_bundle)
    told = use(built, jetson_bundle, FAKE_CUDA_FAULT="no-capture")
    assert told["answers"] == right["answers"]
    assert told["facts"]["CUDA graphs"].startswith("cannot be used: cudaStreamBeginCapture")
    off = use(built, jetson_bundle, EDGEBERT_CUDA_GRAPHS="0")
    assert off["answers"] == right["answers"]
    assert off["facts"]["CUDA graphs"] == "off (EDGEBERT_CUDA_GRAPHS=0)"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("wrong-answers", "fails its self-test"),
        ("nan", "fails its self-test"),
        ("deserialize-none", "refuses the plan"),
        ("fail-run", "does not run the plan"),
        ("oom-context", "OutOfMemory"),
    ],
)
def test_a_plan_that_does_not_work_is_passed_over(fault: str, said: str, built: FakeBoard, jetson_bundle: Path) -> None:
    told = use(built, jetson_bundle, FAKE_TENSORRT_FAULT=fault)
    assert told["artifact"] == "onnx-fp32"
    assert said in told["warnings"][0]
    assert said in told["verdicts"]["tensorrt-fp16"][1]


def test_a_gpu_that_fails_while_it_is_used_is_an_error(built: FakeBoard, jetson_bundle: Path) -> None:
    code = """
import sys, edgebert
model = edgebert.load(sys.argv[1])
for _ in range(3):
    try:
        for _ in range(20):
            model("I loved it.")
    except edgebert.BackendError as error:
        print(error)
model.close()
"""
    done = built.python(code, jetson_bundle, FAKE_CUDA_FAULT="sticky:12")
    assert done.returncode == 0, done.stderr
    errors = done.stdout.splitlines()
    assert len(errors) == 3
    assert all("700 (cudaErrorIllegalAddress" in error and "Start the process again" in error for error in errors)


def test_a_tensorrt_that_cannot_be_imported_is_named(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    broken = "raise ImportError('libnvinfer.so.10: cannot open shared object file: No such file or directory')\n"
    (orin.folder / "python/tensorrt/__init__.py").write_text(broken)
    told = use(orin, jetson_bundle)
    assert told["artifact"] == "onnx-fp32"
    assert "tensorrt 10.3.0 cannot be imported: libnvinfer.so.10: cannot open shared object file" in told["warnings"][0]
    done = orin.edgebert("build-plan", jetson_bundle)
    assert done.returncode == 1
    assert "Error: tensorrt 10.3.0 cannot be imported: libnvinfer.so.10" in done.stderr
    assert "LD_LIBRARY_PATH" in done.stderr


def test_a_missing_cuda_runtime_is_named(board: Board, jetson_bundle: Path) -> None:
    orin = board()
    orin.cudart.unlink()
    (orin.folder / "python/tensorrt/__init__.py").write_text("__version__ = '10.3.0'\n")  # it has one inside
    done = orin.edgebert("build-plan", jetson_bundle)
    assert done.returncode == 1
    assert "There is no CUDA runtime library (libcudart.so.12 or libcudart.so.11.0) on this machine" in done.stderr
    assert "nvidia-jetpack" in done.stderr


def test_a_cuda_runtime_that_is_too_old_is_named(board: Board, jetson_bundle: Path, tmp_path: Path) -> None:
    orin = board()
    source = tmp_path / "old.c"
    source.write_text(
        "int cudaRuntimeGetVersion(int *v) { *v = 10020; return 0; } int cudaGetLastError(void) { return 0; }"
    )
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libcudart.so.12", "-o", str(orin.cudart), str(source)]
    subprocess.run(command, check=True)
    (orin.folder / "python/tensorrt/__init__.py").write_text("__version__ = '10.3.0'\n")
    code = """
import edgebert
from edgebert.devices import find_runtimes
from edgebert.runtime.nvidia import open_host
[runtime] = find_runtimes("tensorrt")
host = open_host(runtime)
print(host.cuda.version)
try:
    host.cuda.create_stream()
except edgebert.BackendError as error:
    print(error)
"""
    version, error = orin.python(code).stdout.splitlines()
    assert version == "10.2"
    assert "libcudart.so.12 has no cudaStreamCreateWithFlags: it is too old. EdgeBERT needs CUDA 11.4" in error
