"""The stand-in for TensorRT is as strict as the real one, version by version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.jetson.board import FakeBoard  # noqa: E402
from tests.jetson.fake_tensorrt import VERSIONS, make_module  # noqa: E402

NEW = ("10.3", "11")

_PRELUDE = """
import ctypes, sys
import numpy as np
import tensorrt as trt

class Log(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.errors = []
    def log(self, severity, msg):
        if severity in (trt.ILogger.Severity.ERROR, trt.Logger.INTERNAL_ERROR):
            self.errors.append(msg)
log = Log()

def parsed(builder, path, strong=True):
    flags = trt.NetworkDefinitionCreationFlag
    name = "STRONGLY_TYPED" if strong and hasattr(flags, "STRONGLY_TYPED") else "EXPLICIT_BATCH"
    network = builder.create_network(1 << int(getattr(flags, name)))
    parser = trt.OnnxParser(network, log)
    assert parser.parse_from_file(path), parser.get_error(0).desc()
    return network

def configured(builder, *lengths, share=True):
    config = builder.create_builder_config()
    if hasattr(trt.BuilderFlag, "FP16") and not hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        config.set_flag(trt.BuilderFlag.FP16)
        if share:
            config.set_preview_feature(trt.PreviewFeature.PROFILE_SHARING_0806, True)
    for low, high in lengths:
        profile = builder.create_optimization_profile()
        profile.set_shape("ids", (1, low), (1, high), (1, high))
        config.add_optimization_profile(profile)
    return config

def built(path, *lengths, **options):
    builder = trt.Builder(log)
    plan = builder.build_serialized_network(parsed(builder, path), configured(builder, *lengths, **options))
    assert plan is not None, log.errors
    return bytes(plan)

def engine_of(plan):
    engine = trt.Runtime(log).deserialize_cuda_engine(plan)
    assert engine is not None, log.errors
    return engine

cuda = ctypes.CDLL("libcudart.so.12")
cuda.cudaStreamSynchronize.argtypes = cuda.cudaStreamDestroy.argtypes = cuda.cudaFree.argtypes = (ctypes.c_void_p,)
def take(function, *arguments):
    handle = ctypes.c_void_p()
    assert getattr(cuda, function)(ctypes.byref(handle), *arguments) == 0
    return handle.value
def device(size):
    address = take("cudaMalloc", ctypes.c_size_t(size))
    ctypes.memset(address, 0, min(size, 64))  # host memory after all; unset, it is no token's number
    return address
def stream():
    return take("cudaStreamCreateWithFlags", 1)
def ready(engine, profile, length, on, memory=None):
    context = engine.create_execution_context()
    assert context.set_optimization_profile_async(profile, on)
    assert context.set_input_shape("ids", (1, length))
    ids, scores = device(4 * length), device(8)
    ctypes.memmove(ids, np.arange(length, dtype=np.int32).tobytes(), 4 * length)
    assert context.set_tensor_address("ids", ids) and context.set_tensor_address("scores", scores)
    return context, scores
def scores_at(address):
    return np.frombuffer(ctypes.string_at(address, 8), np.float32)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of it in float16, the normalisation in float32, with its weights in a file of their own."""
    weights = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float16)
    constants = {
        "words": np.linspace(-1, 1, 100 * 8, dtype=np.float32).reshape(100, 8),
        "weights": weights,
        "one": np.ones(4, np.float32),
        "zero": np.zeros(4, np.float32),
        "out": np.eye(4, 2, dtype=np.float32),
        "axes": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["embedded"], name="embed"),
        helper.make_node("Cast", ["embedded"], ["half"], name="to_half", to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "weights"], ["product"], name="product"),
        helper.make_node("Cast", ["product"], ["single"], name="to_single", to=TensorProto.FLOAT),
        helper.make_node("LayerNormalization", ["single", "one", "zero"], ["normal"], name="norm"),
        helper.make_node("Erf", ["normal"], ["bent"], name="bend"),
        helper.make_node("ReduceMean", ["bent"], ["mean"], name="mean", axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "out"], ["scores"], name="classify"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "tokens"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name != "axes"],
    )
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(whole)
    onnx.save(whole, path, save_as_external_data=True, location="model.onnx.data", size_threshold=16)
    assert path.with_name("model.onnx.data").exists()
    return path


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FakeBoard]:
    return {version: FakeBoard(tmp_path_factory.mktemp("board"), version) for version in VERSIONS}


def run(board: FakeBoard, code: str, *arguments: object, **variables: str) -> None:
    done = board.python(_PRELUDE + code, *arguments, **variables)
    assert done.returncode == 0, done.stderr


def aborts(board: FakeBoard, code: str, *arguments: object, **variables: str) -> str:
    done = board.python(_PRELUDE + code, *arguments, **variables)
    assert done.returncode == -6, (done.returncode, done.stderr)
    match = re.search("the fake TensorRT ends the process: (.*)", done.stderr)
    assert match is not None
    return match[1]


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


def test_8_6_needs_the_flags_of_what_the_file_holds(model: Path, boards: dict[str, FakeBoard]) -> None:
    run(
        boards["8.6"],
        """
builder = trt.Builder(log)
network, config = parsed(builder, sys.argv[1]), configured(builder, (1, 8))
config.clear_flag(trt.BuilderFlag.FP16)
assert builder.build_serialized_network(network, config) is None and "fp16 is not configured" in log.errors[-1]
network = builder.create_network()
parser = trt.OnnxParser(network, log)
assert not parser.parse_from_file(sys.argv[1]) and "explicit batch" in parser.get_error(0).desc()
""",
        model,
    )


@pytest.mark.parametrize("version", ["8.6", "10.3"])
def test_a_weakly_typed_network_computes_in_float16_what_nobody_constrained(
    version: str, model: Path, boards: dict[str, FakeBoard]
) -> None:
    board = boards[version]
    board.forget()
    run(
        board,
        """
import json
builder = trt.Builder(log)
network, config = parsed(builder, sys.argv[1], strong=False), configured(builder, (1, 8))
config.set_flag(trt.BuilderFlag.FP16)
config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
def types():
    engine = engine_of(bytes(builder.build_serialized_network(network, config)))
    told = json.loads(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
    return {layer["Name"]: layer["Outputs"][0]["Format/Datatype"].split()[-2] for layer in told["Layers"]}
free = types()
assert (free["product"], free["norm"], free["classify"]) == ("FP16", "FP16", "FP32")
for layer in (network.get_layer(i) for i in range(network.num_layers)):
    if layer.name == "norm":
        assert layer.type == trt.LayerType.NORMALIZATION and layer.get_output(0).dtype == trt.float32
        layer.precision = trt.float32
        layer.set_output_type(0, trt.float32)
assert types()["norm"] == "FP16"  # nobody asked for the constraints to be obeyed
config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
held = types()
assert (held["product"], held["norm"], held["bend"]) == ("FP16", "FP32", "FP16")
""",
        model,
    )
    last = board.calls("build")[-1]
    assert (last["precisions"], last["output_types"]) == ({"norm": "FLOAT"}, {"normal": "FLOAT"})
    assert "OBEY_PRECISION_CONSTRAINTS" in last["flags"] and not last["strongly_typed"]


def test_a_strongly_typed_network_refuses_flags_and_constraints(model: Path, boards: dict[str, FakeBoard]) -> None:
    run(
        boards["10.3"],
        """
builder = trt.Builder(log)
network, config = parsed(builder, sys.argv[1]), configured(builder, (1, 8))
config.set_flag(trt.BuilderFlag.FP16)
assert builder.build_serialized_network(network, config) is None and "strongly typed" in log.errors[-1]
config.clear_flag(trt.BuilderFlag.FP16)
assert builder.build_serialized_network(network, config) is not None
network.get_layer(network.num_layers - 1).precision = trt.float32
assert builder.build_serialized_network(network, config) is None
""",
        model,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_profile_that_does_not_fit_fails_the_build(version: str, model: Path, boards: dict[str, FakeBoard]) -> None:
    run(
        boards[version],
        """
builder = trt.Builder(log)
network = parsed(builder, sys.argv[1])
assert builder.build_serialized_network(network, configured(builder)) is None and "no optimization" in log.errors[-1]
for shapes in (((1,), (1,), (1,)), ((1, 8), (1, 4), (1, 8))):
    config, profile = configured(builder), builder.create_optimization_profile()
    profile.set_shape("ids", *shapes)
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is None
config, profile = configured(builder), builder.create_optimization_profile()
profile.set_shape("other", (1, 8), (1, 8), (1, 8))
config.add_optimization_profile(profile)
assert builder.build_serialized_network(network, config) is None and "missing" in log.errors[-1]
""",
        model,
    )


@pytest.mark.parametrize("version", NEW)
def test_the_monitor_sees_every_phase_and_can_cancel(version: str, model: Path, boards: dict[str, FakeBoard]) -> None:
    run(
        boards[version],
        """
class Monitor(trt.IProgressMonitor):
    def __init__(self, most):
        trt.IProgressMonitor.__init__(self)
        self.most, self.open, self.steps = most, [], 0
    def phase_start(self, phase_name, parent_phase, num_steps):
        assert num_steps > 0 and (parent_phase in self.open if self.open else parent_phase is None)
        self.open.append(phase_name)
    def step_complete(self, phase_name, step):
        self.steps += 1
        return self.steps < self.most
    def phase_finish(self, phase_name):
        self.open.remove(phase_name)
builder = trt.Builder(log)
network = parsed(builder, sys.argv[1])
for most, is_built in ((10**6, True), (5, False)):
    config = configured(builder, (1, 8))
    config.progress_monitor = monitor = Monitor(most)
    assert (builder.build_serialized_network(network, config) is not None) == is_built
    assert monitor.open == [] and monitor.steps > 4
assert monitor.steps == 5 and "BuildCanceled" in log.errors[-1]
""",
        model,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_timings_are_reused_and_those_of_others_are_not(
    version: str, model: Path, boards: dict[str, FakeBoard]
) -> None:
    board = boards[version]
    board.forget()
    run(
        board,
        """
builder = trt.Builder(log)
network, known = parsed(builder, sys.argv[1]), b""
for _ in range(2):
    config = configured(builder, (1, 8))
    assert config.get_timing_cache() is None
    cache = config.create_timing_cache(known)
    assert config.set_timing_cache(cache, False)
    assert builder.build_serialized_network(network, config) is not None
    known = bytes(config.get_timing_cache().serialize())
damaged = bytearray(known)
damaged[-40] ^= 1
for data in (b"garbage", bytes(damaged), known[:-1]):
    taken = config.create_timing_cache(data)
    # 11 gives an empty one and a warning, as TensorRT-RTX of its generation does; the others nothing.
    assert (taken is None) == (int(trt.__version__.split(".")[0]) < 11)
    assert taken is None or bytes(taken.serialize()) != known
""",
        model,
    )
    first, second = board.calls("build")
    assert first["timings_reused"] == second["timings_made"] == 0 < first["timings_made"] == second["timings_reused"]


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
def test_the_parser_names_what_it_does_not_take(version: str, model: Path, boards: dict[str, FakeBoard]) -> None:
    run(
        boards[version],
        """
builder = trt.Builder(log)
parser = trt.OnnxParser(builder.create_network(1), log)
assert not parser.parse_from_file(sys.argv[1])
errors = [parser.get_error(index) for index in range(parser.num_errors)]
old = int(trt.__version__.split(".")[0]) < 10
assert [one.node() for one in errors] == ([4] if old else [4, 5])  # 8.6 stops at the first
if not old:
    assert [one.node_name() for one in errors] == ["norm", "bend"]
    assert [one.node_operator() for one in errors] == ["LayerNormalization", "Erf"]
parser.clear_errors()
assert parser.num_errors == 0
for path in ("/nowhere.onnx", __file__ if "__file__" in globals() else trt.__file__):
    assert not parser.parse_from_file(path) and parser.num_errors == 1
    assert parser.get_error(0).code() in (trt.ErrorCode.INVALID_VALUE, trt.ErrorCode.MODEL_DESERIALIZE_FAILED)
""",
        model,
        FAKE_TENSORRT_FAULT="refuse:Erf,refuse:LayerNormalization",
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_faults_happen_when_asked_for(version: str, model: Path, boards: dict[str, FakeBoard]) -> None:
    board = boards[version]
    code = """
builder = trt.Builder(log)
plan = builder.build_serialized_network(parsed(builder, sys.argv[1]), configured(builder, (1, 8)))
assert plan is None and any("OutOfMemory" in one for one in log.errors)
"""
    run(board, code, model, FAKE_TENSORRT_FAULT="oom-build")
    done = board.python(_PRELUDE + code, model, FAKE_TENSORRT_FAULT="crash-build")
    assert done.returncode == -9
    code = """
engine, on = engine_of(built(sys.argv[1], (1, 8))), stream()
context, scores = ready(engine, 0, 8, on)
assert context.execute_async_v3(on) and cuda.cudaStreamSynchronize(on) == 0
print(*scores_at(scores))
"""
    answers = {
        fault: [float(one) for one in board.python(_PRELUDE + code, model, FAKE_TENSORRT_FAULT=fault).stdout.split()]
        for fault in ("", "wrong-answers", "nan")
    }
    assert np.allclose(np.subtract(answers["wrong-answers"], answers[""]), 1) and np.isnan(answers["nan"]).all()
    code = """
engine = engine_of(built(sys.argv[1], (1, 8)))
assert engine.create_execution_context() is None and "OutOfMemory" in log.errors[-1]
"""
    run(board, code, model, FAKE_TENSORRT_FAULT="oom-context")


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
