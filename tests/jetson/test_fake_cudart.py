"""The stand-in for the CUDA runtime refuses what the real one refuses, and does not hide what the real one shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.jetson import fake_cudart
from tests.jetson.board import FakeBoard

_PRELUDE = """
import ctypes
cuda = ctypes.CDLL("libcudart.so.12")
def new(function, *arguments):
    handle = ctypes.c_void_p()
    assert getattr(cuda, function)(ctypes.byref(handle), *arguments) == 0, function
    return handle
def put(data):
    at = new("cudaHostAlloc", ctypes.c_size_t(len(data)), 0)
    ctypes.memmove(at, data, len(data))
    return at
def copy(to, source, size, kind, stream=None):
    return cuda.cudaMemcpyAsync(to, source, ctypes.c_size_t(size), kind, stream)
def read(at, size):
    return ctypes.string_at(at.value, size)
IN, OUT = 1, 2
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> FakeBoard:
    return FakeBoard(tmp_path_factory.mktemp("board"))


def run(board: FakeBoard, code: str, **variables: str) -> None:
    done = board.python(_PRELUDE + code, **variables)
    assert done.returncode == 0, done.stderr


def test_it_exports_what_it_is_documented_to_export_and_nothing_else(tmp_path: Path) -> None:
    library = Path(fake_cudart.build(tmp_path)).read_bytes()
    names = {name.decode() for name in re.findall(rb"\0(cuda[A-Z]\w+|fake_\w+)(?=\0)", library)}
    functions = {name for name in names if not name.startswith("cudaError")} - {"cudaSuccess"}
    assert functions == {
        *[
            "cudaRuntimeGetVersion",
            "cudaGetLastError",
            "cudaGetErrorName",
            "cudaGetErrorString",
            "cudaGetDevice",
            "cudaSetDevice",
        ],
        *["cudaMalloc", "cudaFree", "cudaHostAlloc", "cudaFreeHost", "cudaMemGetInfo", "cudaMemcpyAsync"],
        *["cudaStreamCreateWithFlags", "cudaStreamDestroy", "cudaStreamSynchronize"],
        *["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags", "cudaGraphLaunch"],
        *[
            "cudaGraphExecDestroy",
            "cudaGraphDestroy",
            "cudaEventCreateWithFlags",
            "cudaEventRecord",
            "cudaEventSynchronize",
        ],
        *["cudaEventElapsedTime", "cudaEventDestroy", "fake_enqueue", "fake_holds", "fake_illegal", "fake_capturing"],
    }


def test_a_copy_happens_no_sooner_than_something_waits_for_it(board: FakeBoard) -> None:
    run(
        board,
        """
host, device, back = put(b"early"), new("cudaMalloc", ctypes.c_size_t(5)), put(b".....")
stream = new("cudaStreamCreateWithFlags", 1)
assert copy(device, host, 5, IN, stream) == copy(back, device, 5, OUT, stream) == 0
assert read(back, 5) == b"....."
ctypes.memmove(host, b"later", 5)
assert cuda.cudaStreamSynchronize(stream) == 0
assert read(back, 5) == b"later"
""",
    )


def test_a_copy_is_refused_where_kind_or_extent_is_wrong(board: FakeBoard) -> None:
    run(
        board,
        """
host, device = put(b"data"), new("cudaMalloc", ctypes.c_size_t(4))
assert copy(device, host, 4, OUT) == 1 and copy(host, device, 4, IN) == 1
assert copy(device, host, 5, IN) == 1
assert copy(device, ctypes.create_string_buffer(4), 4, IN) == 1
assert copy(device, host, 4, 7) == 21
assert copy(device, host, 4, IN, ctypes.c_void_p(1234)) == 400
assert cuda.cudaGetLastError() == 400 and cuda.cudaGetLastError() == 0
""",
    )


def test_memory_ends_and_comes_back(board: FakeBoard) -> None:
    run(
        board,
        """
free, total = ctypes.c_size_t(), ctypes.c_size_t()
one = new("cudaMalloc", ctypes.c_size_t(600))
assert cuda.cudaHostAlloc(ctypes.byref(ctypes.c_void_p()), ctypes.c_size_t(500), 0) == 2
assert cuda.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0
assert (free.value, total.value) == (400, 1000)
assert cuda.cudaFree(one) == 0
assert cuda.cudaFree(one) == 1 and cuda.cudaFree(ctypes.c_void_p(4096)) == 1 and cuda.cudaFree(None) == 0
two = new("cudaMalloc", ctypes.c_size_t(1000))
assert cuda.cudaFreeHost(two) == 1 and cuda.cudaFree(two) == 0
""",
        FAKE_CUDA_MEMORY="1000",
    )


def test_what_is_captured_runs_when_its_graph_is_launched(board: FakeBoard) -> None:
    run(
        board,
        """
host, device, back = put(b"one"), new("cudaMalloc", ctypes.c_size_t(3)), put(b"...")
stream = new("cudaStreamCreateWithFlags", 1)
assert cuda.cudaStreamBeginCapture(stream, 1) == 0
assert copy(device, host, 3, IN, stream) == copy(back, device, 3, OUT, stream) == 0
graph = ctypes.c_void_p()
assert cuda.cudaStreamEndCapture(stream, ctypes.byref(graph)) == 0
assert cuda.cudaStreamSynchronize(stream) == 0 and read(back, 3) == b"..."
ready = new("cudaGraphInstantiateWithFlags", graph, ctypes.c_ulonglong(0))
assert cuda.cudaGraphDestroy(graph) == 0 and cuda.cudaGraphDestroy(graph) == 1
for text in (b"two", b"six"):
    ctypes.memmove(host, text, 3)
    assert cuda.cudaGraphLaunch(ready, stream) == 0 and cuda.cudaStreamSynchronize(stream) == 0
    assert read(back, 3) == text
assert cuda.cudaFree(device) == 0
assert cuda.cudaGraphLaunch(ready, stream) == 0
assert cuda.cudaStreamSynchronize(stream) == 700  # and nothing works from then on
assert cuda.cudaStreamSynchronize(stream) == 700
assert cuda.cudaGetLastError() == 700 and cuda.cudaGetLastError() == 700
""",
    )


def test_a_capture_forbids_what_waits_and_who_ends_it_must_have_begun_it(board: FakeBoard) -> None:
    run(
        board,
        """
import threading
stream, graph = new("cudaStreamCreateWithFlags", 1), ctypes.c_void_p()
def in_thread(call):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(call()))
    thread.start(); thread.join()
    return codes[0]
assert cuda.cudaStreamEndCapture(stream, ctypes.byref(graph)) == 903
for mode, elsewhere in ((0, 900), (1, 0), (2, 0)):
    assert cuda.cudaStreamBeginCapture(stream, mode) == 0
    memory = ctypes.c_void_p()
    assert in_thread(lambda: cuda.cudaMalloc(ctypes.byref(memory), ctypes.c_size_t(8))) == elsewhere
    assert cuda.cudaMalloc(ctypes.byref(memory), ctypes.c_size_t(8)) == (0 if mode == 2 else 900)
    end = lambda: cuda.cudaStreamEndCapture(stream, ctypes.byref(graph))
    if mode != 2:
        assert in_thread(end) == 908
    assert end() == (0 if mode == 2 else 901)
assert cuda.cudaStreamBeginCapture(stream, 1) == 0
assert cuda.cudaStreamSynchronize(stream) == 900 and end() == 901 and not graph.value
assert cuda.cudaStreamBeginCapture(None, 1) == 900
""",
    )


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("no-capture", 'assert cuda.cudaStreamBeginCapture(new("cudaStreamCreateWithFlags", 1), 1) == 801'),
        ("no-pinned", "assert cuda.cudaHostAlloc(ctypes.byref(ctypes.c_void_p()), ctypes.c_size_t(8), 0) == 2"),
        (
            "sticky:1",
            """
assert cuda.cudaStreamSynchronize(None) == 0
assert cuda.cudaStreamSynchronize(None) == 700
assert cuda.cudaMalloc(ctypes.byref(ctypes.c_void_p()), ctypes.c_size_t(8)) == 700
""",
        ),
    ],
)
def test_faults_happen_when_asked_for(fault: str, code: str, board: FakeBoard) -> None:
    run(board, code, FAKE_CUDA_FAULT=fault)


def test_without_a_driver_only_its_version_can_be_asked_for(tmp_path: Path) -> None:
    board = FakeBoard(tmp_path, cuda=(12, 2))
    board.remove_driver()
    run(
        board,
        """
version = ctypes.c_int()
assert cuda.cudaRuntimeGetVersion(ctypes.byref(version)) == 0 and version.value == 12020
assert cuda.cudaMalloc(ctypes.byref(ctypes.c_void_p()), ctypes.c_size_t(8)) == 35
cuda.cudaGetErrorName.restype = ctypes.c_char_p
assert cuda.cudaGetErrorName(35) == b"cudaErrorInsufficientDriver"
""",
    )


def test_the_log_tells_what_was_not_given_back(tmp_path: Path) -> None:
    board = FakeBoard(tmp_path)
    run(board, 'new("cudaMalloc", ctypes.c_size_t(100)); put(b"123"); new("cudaStreamCreateWithFlags", 1)')
    run(board, 'assert cuda.cudaFree(new("cudaMalloc", ctypes.c_size_t(100))) == 0')
    lost, clean = board.leaks()
    assert [lost[name] for name in ("device", "pinned", "bytes", "streams", "graphs", "events")] == [1, 1, 103, 1, 0, 0]
    assert [clean[name] for name in ("device", "pinned", "bytes", "streams", "peak")] == [0, 0, 0, 0, 100]


def test_events_have_the_time_at_which_the_stream_passed_them(board: FakeBoard) -> None:
    run(
        board,
        """
a, b = new("cudaEventCreateWithFlags", 0), new("cudaEventCreateWithFlags", 0)
stream = new("cudaStreamCreateWithFlags", 1)
elapsed = ctypes.c_float(-1)
assert cuda.cudaEventElapsedTime(ctypes.byref(elapsed), a, b) == 400
assert cuda.cudaEventRecord(a, stream) == cuda.cudaEventRecord(b, stream) == 0
assert cuda.cudaEventElapsedTime(ctypes.byref(elapsed), a, b) == 600
assert cuda.cudaEventSynchronize(b) == 0
assert cuda.cudaEventElapsedTime(ctypes.byref(elapsed), a, b) == 0 and elapsed.value >= 0
""",
    )
