"""The stand-in for TensorRT runs a plan as the real one does, and refuses what is not to be run."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.jetson.board import FakeBoard
from tests.jetson.fake_tensorrt import VERSIONS
from tests.jetson.scripts import aborts, run


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plan_gives_the_answers_of_onnx_runtime(version: str, model: Path, boards: dict[str, FakeBoard]) -> None:
    run(
        boards[version],
        """
import onnxruntime
engine = engine_of(built(sys.argv[1], (1, 4), (5, 8)))
assert [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)] == ["ids", "scores"]
assert engine.get_tensor_mode("ids") == trt.TensorIOMode.INPUT and engine.get_tensor_dtype("ids") == trt.int32
assert trt.nptype(engine.get_tensor_dtype("scores")) is np.float32
assert engine.num_optimization_profiles == 2 and tuple(engine.get_tensor_shape("scores")) == (-1, 2)
assert [tuple(one) for one in engine.get_tensor_profile_shape("ids", 1)] == [(1, 5), (1, 8), (1, 8)]
reference = onnxruntime.InferenceSession(sys.argv[1])
on = stream()
for profile, length in ((1, 8), (0, 3)):
    context, scores = ready(engine, profile, length, on)
    assert tuple(context.get_tensor_shape("scores")) == (1, 2)
    assert context.execute_async_v3(on)
    assert not scores_at(scores).any()  # not yet
    assert cuda.cudaStreamSynchronize(on) == 0
    (right,) = reference.run(None, {"ids": np.arange(length, dtype=np.int32)[None]})
    assert np.array_equal(scores_at(scores), right[0])
""",
        model,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_context_refuses_what_is_missing_or_outside(version: str, model: Path, boards: dict[str, FakeBoard]) -> None:
    run(
        boards[version],
        """
engine = engine_of(built(sys.argv[1], (1, 4), (5, 8)))
on, context = stream(), engine.create_execution_context()
def refused(done, word):
    assert done is False and word in log.errors[-1], log.errors[-1]
refused(context.execute_async_v3(on), "profile")
refused(context.set_input_shape("ids", (1, 4)), "profile")
for wrong in (2, -1):
    try:
        context.set_optimization_profile_async(wrong, on)
    except RuntimeError as error:
        assert str(error) == "Error in set optimization profile async."
    else:
        raise SystemExit("a profile that is not there was taken")
assert context.set_optimization_profile_async(1, on)
refused(context.execute_async_v3(on), "shape")
assert context.infer_shapes() == ["ids"]
for shape in ((1, 4), (1, 9), (2, 8), (8,), (1, 8, 1)):
    refused(context.set_input_shape("ids", shape), "mismatch")
refused(context.set_input_shape("nothing", (1, 8)), "nothing")
assert context.set_input_shape("ids", (1, 8))
refused(context.execute_async_v3(on), "address of ids")
assert context.set_tensor_address("ids", device(32))
refused(context.execute_async_v3(on), "address of scores")
refused(context.set_tensor_address("nothing", device(32)), "nothing")
assert context.set_tensor_address("scores", device(8))
assert context.execute_async_v3(on) and cuda.cudaStreamSynchronize(on) == 0
assert context.set_optimization_profile_async(0, on)
refused(context.execute_async_v3(on), "shape")
""",
        model,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_what_ends_in_a_crash_or_in_wrong_answers_ends_the_process(
    version: str, model: Path, boards: dict[str, FakeBoard]
) -> None:
    board = boards[version]
    bare = """
engine = engine_of(built(sys.argv[1], (1, 8)))
def bare():
    if hasattr(trt, "ExecutionContextAllocationStrategy"):
        return engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
    return engine.create_execution_context_without_device_memory()
def give(context, address, size):
    if hasattr(context, "set_device_memory"): context.set_device_memory(address, size)
    else: context.device_memory = address
size = engine.device_memory_size_v2 if hasattr(engine, "device_memory_size_v2") else engine.device_memory_size
def addressed(context):
    assert context.set_input_shape("ids", (1, 8))
    assert context.set_tensor_address("ids", device(32)) and context.set_tensor_address("scores", device(8))
    return context
"""
    run(
        board,
        bare + "on, one = stream(), addressed(bare()); give(one, device(size), size)\nassert one.execute_async_v3(on)\n"
        "assert cuda.cudaStreamSynchronize(on) == 0",
        model,
    )
    assert "no memory" in aborts(board, bare + "addressed(bare()).execute_async_v3(stream())", model)
    text = "give(bare(), device(size - 1), size)"
    assert "bytes of the GPU's" in aborts(board, bare + text, model)
    text = """
memory = device(size)
for context in (addressed(bare()), addressed(bare())):
    give(context, memory, size)
    assert context.execute_async_v3(stream())
"""
    assert "at once" in aborts(board, bare + text, model)
    text = """
import threading
context = addressed(engine.create_execution_context())
on = stream()
for _ in range(2):
    threading.Thread(target=lambda: [context.execute_async_v3(on) for _ in range(50)]).start()
"""
    assert "another thread" in aborts(board, bare + text, model)


def test_8_6_shares_a_profile_only_if_it_was_asked_to(model: Path, boards: dict[str, FakeBoard]) -> None:
    code = """
engine = engine_of(built(sys.argv[1], (1, 4), (5, 8), share=sys.argv[2] == "share"))
on, one, two = stream(), engine.create_execution_context(), engine.create_execution_context()
assert one.set_optimization_profile_async(1, on)
try:
    shared = two.set_optimization_profile_async(1, on)
except RuntimeError:
    shared = False
    assert "another IExecutionContext" in log.errors[-1]
    del one
    assert two.set_optimization_profile_async(1, on)
assert shared == (sys.argv[2] == "share")
"""
    run(boards["8.6"], code, model, "share")
    run(boards["8.6"], code, model, "not")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plan_from_elsewhere_is_refused(
    version: str, model: Path, tmp_path: Path, boards: dict[str, FakeBoard]
) -> None:
    plan = tmp_path / "plan"
    run(boards[version], "open(sys.argv[2], 'wb').write(built(sys.argv[1], (1, 8)))", model, plan)
    refuse = """
data = open(sys.argv[1], "rb").read()
assert trt.Runtime(log).deserialize_cuda_engine(data) is None and sys.argv[2] in log.errors[-1], log.errors
"""
    for other in set(VERSIONS) - {version}:
        run(boards[other], refuse, plan, "expecting library version")
    thor = FakeBoard(tmp_path / "thor", version, gpu="Thor", capability=(11, 0))
    run(thor, refuse, plan, "incompatible device")
    run(boards[version], refuse, plan, "deserialization failed", FAKE_TENSORRT_FAULT="deserialize-none")
    damaged = bytearray(plan.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    plan.write_bytes(damaged)
    run(boards[version], refuse, plan, "checksum")


@pytest.mark.parametrize("version", VERSIONS)
def test_memory_of_the_gpu_is_taken_and_given_back(version: str, model: Path, tmp_path: Path) -> None:
    board = FakeBoard(tmp_path, version, memory=50_000)
    code = """
engine = engine_of(built(sys.argv[1], (1, 8)))
context = engine.create_execution_context()
second = engine.create_execution_context()
assert second is None and "OutOfMemory" in log.errors[-1]
if sys.argv[2] == "free":
    del context, engine
"""
    run(board, code, model, "free")
    assert [one["bytes"] for one in board.leaks()] == [0]
    assert board.leaks()[0]["peak"] > 8 * 4096
    board.memory = 20_000
    code = """
assert trt.Runtime(log).deserialize_cuda_engine(built(sys.argv[1], (1, 8))) is not None
engine = engine_of(built(sys.argv[1], (1, 8)))
assert engine.create_execution_context() is None
"""
    run(board, code, model)
