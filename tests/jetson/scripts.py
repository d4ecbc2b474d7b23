"""Pieces of Python that a board runs against the stand-in for TensorRT."""

from __future__ import annotations

import re

from tests.jetson.board import FakeBoard

PRELUDE = """
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
"""What each of them begins with."""


def run(board: FakeBoard, code: str, *arguments: object, **variables: str) -> None:
    """Runs a piece of Python on the board; what it asserts must hold."""
    done = board.python(PRELUDE + code, *arguments, **variables)
    assert done.returncode == 0, done.stderr


def aborts(board: FakeBoard, code: str, *arguments: object, **variables: str) -> str:
    """Runs a piece of Python that TensorRT must end, and tells why it did."""
    done = board.python(PRELUDE + code, *arguments, **variables)
    assert done.returncode == -6, (done.returncode, done.stderr)
    match = re.search("the fake TensorRT ends the process: (.*)", done.stderr)
    assert match is not None
    return match[1]
