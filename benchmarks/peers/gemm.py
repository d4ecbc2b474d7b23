"""The rate of this machine's matrix products, in float32 and int8: what a model that is made of them cannot exceed.

    python benchmarks/peers/gemm.py --threads 2 --tokens 208

Three sets of products, each rows ``[m, k]`` by constant weights ``[k, n]``: ``model`` has those of six layers of
DistilBERT, each layer with weights of its own, for as many tokens as a batch has; ``one text`` the same for 25 tokens;
``large`` is 2048 x 2048 x 2048. float32 by ONNX Runtime and by torch (oneDNN or MKL), int8 by ONNX Runtime's
``MatMulInteger`` (u8 by s8) and by torch's ``_int_mm`` (s8 by s8), each in a process of its own. A rate is the median
over repetitions, in operations per second; a multiplication and its addition are two. It needs the environment
``export``; what is not installed is left out and said.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

LAYER = ((768, 768),) * 4 + ((768, 3072), (3072, 768))
LAYERS = 6
IMPLEMENTATIONS = {"onnxruntime float32": "float32", "torch float32": "float32",
                   "onnxruntime int8": "int8", "torch int8": "int8"}  # fmt: skip
_SECONDS = 1.5
_WARM_UP = 3
Products = tuple[int, tuple[tuple[int, int], ...]]
"""Rows, and the shapes of the weights."""


def cases(tokens: int) -> dict[str, Products]:
    """What is measured, by name."""
    return {"model": (tokens, LAYER * LAYERS), "one text": (25, LAYER * LAYERS), "large": (2048, ((2048, 2048),))}


def operations(products: Products) -> int:
    """Two for each multiplication."""
    rows, shapes = products
    return sum(2 * rows * k * n for k, n in shapes)


def measure(implementation: str, tokens: int, threads: int) -> dict[str, float]:
    """Operations per second of one implementation, by case."""
    make = _onnxruntime if implementation.startswith("onnxruntime") else _torch
    integer = IMPLEMENTATIONS[implementation] == "int8"
    return {name: operations(of) / _median_seconds(make(of, integer, threads)) for name, of in cases(tokens).items()}


def _median_seconds(run: Callable[[], object]) -> float:
    for _ in range(_WARM_UP):
        run()
    seconds: list[float] = []
    while sum(seconds) < _SECONDS or len(seconds) < _WARM_UP:
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    return statistics.median(seconds)


def _onnxruntime(products: Products, integer: bool, threads: int) -> Callable[[], object]:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rows, shapes = products
    random = np.random.default_rng(0)
    nodes, weights, outputs = [], [], []
    for place, (k, n) in enumerate(shapes):
        values = _rows(random, (k, n), np.int8 if integer else np.float32)
        weights.append(numpy_helper.from_array(values, f"w{place}"))
        kind = "MatMulInteger" if integer else "MatMul"
        nodes.append(helper.make_node(kind, [f"x{k}", f"w{place}"], [f"y{place}"]))
        result = TensorProto.INT32 if integer else TensorProto.FLOAT
        outputs.append(helper.make_tensor_value_info(f"y{place}", result, [rows, n]))
    given = TensorProto.UINT8 if integer else TensorProto.FLOAT
    widths = sorted({k for k, _ in shapes})
    inputs = [helper.make_tensor_value_info(f"x{k}", given, [rows, k]) for k in widths]
    graph = helper.make_graph(nodes, "products", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    onnx.checker.check_model(model)
    feeds = {f"x{k}": _rows(random, (rows, k), np.uint8 if integer else np.float32) for k in widths}
    return lambda: session.run(None, feeds)


def _torch(products: Products, integer: bool, threads: int) -> Callable[[], object]:
    import torch

    torch.set_num_threads(threads)
    rows, shapes = products
    random = np.random.default_rng(0)
    dtype = np.int8 if integer else np.float32
    # Weights as a linear layer has them, [n, k], read transposed.
    weights = [torch.from_numpy(_rows(random, (n, k), dtype)).t() for k, n in shapes]
    inputs = {k: torch.from_numpy(_rows(random, (rows, k), dtype)) for k, _ in shapes}
    multiply = torch._int_mm if integer else torch.mm

    def run() -> None:
        with torch.inference_mode():
            for (k, _), weight in zip(shapes, weights, strict=True):
                multiply(inputs[k], weight)

    return run


def _rows(random: np.random.Generator, shape: tuple[int, int], dtype: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401
    if dtype is np.float32:
        return random.standard_normal(shape, dtype=np.float32)
    low, high = (0, 256) if dtype is np.uint8 else (-64, 64)  # weights of 7 bits: cannot saturate on any CPU
    return random.integers(low, high, shape, dtype=dtype)


def measure_all(tokens: int, threads: int) -> dict[str, Any]:
    """Every implementation in a process of its own; ``best`` has the largest rate per arithmetic and case."""
    told: dict[str, Any] = {"threads": threads, "tokens": tokens, "implementations": {}, "best": {}}
    for name, arithmetic in IMPLEMENTATIONS.items():
        command = [sys.executable, __file__, "--threads", str(threads), "--tokens", str(tokens), "--only", name]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            told["implementations"][name] = {"not measured": (done.stderr.strip().splitlines() or ["?"])[-1]}
            continue
        rates = told["implementations"][name] = json.loads(done.stdout.splitlines()[-1])
        for case, rate in rates.items():
            known = told["best"].setdefault(arithmetic, {})
            if rate > known.get(case, {"rate": 0.0})["rate"]:
                known[case] = {"rate": rate, "implementation": name}
    return told


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True, metavar="N")
    parser.add_argument("--tokens", type=int, required=True, metavar="N", help="rows of the case 'model'")
    parser.add_argument("--only", choices=IMPLEMENTATIONS, help="this implementation, in this process")
    given = parser.parse_args()
    told = measure(given.only, given.tokens, given.threads) if given.only else measure_all(given.tokens, given.threads)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
