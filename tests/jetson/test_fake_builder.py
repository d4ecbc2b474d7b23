"""The stand-in for TensorRT builds as each version does."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.jetson.board import FakeBoard
from tests.jetson.fake_tensorrt import VERSIONS
from tests.jetson.scripts import PRELUDE, run

NEW = ("10.3", "11")


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
def test_a_build_that_hangs_can_be_ended(version: str, model: Path, boards: dict[str, FakeBoard]) -> None:
    code = """
builder = trt.Builder(log)
network, config = parsed(builder, sys.argv[1]), configured(builder, (1, 8))
print("begun", flush=True)
builder.build_serialized_network(network, config)
"""
    process = boards[version].start("-c", PRELUDE + code, model, FAKE_TENSORRT_FAULT="hang-build")
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.terminate()
    assert process.communicate()[0] == "" and process.returncode == -15
