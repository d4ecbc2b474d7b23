"""Does NVIDIA's current parser and builder accept an ONNX file? Asked of TensorRT-RTX, which needs no GPU for it.

TensorRT-RTX (the extra ``tensorrt-check``) is TensorRT for desktop GPUs. It builds for none of Jetson's, so that its
plan is thrown away; that it can make one says that a current TensorRT knows every operator, type and shape of the file.
It runs in a process of its own, which it may end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any

from edgebert.bundle.recipe import Recipe
from edgebert.errors import BackendError

_MODULE = "tensorrt_rtx"
_DISTRIBUTION = "tensorrt-rtx-cu12"
_CAPABILITY = "SM86"
"""Desktop Ampere: the generation of Orin's GPU (8.7), which is not among those it builds for."""

_TIME_LIMIT_S = 900


def check(model: Path, recipe: Recipe) -> tuple[str, str]:
    """Parse and build ``model`` by ``recipe``.

    Returns:
        What answered, with its version, and what it said; that it is not installed, if so.

    Raises:
        BackendError: it refuses the file; the message names the nodes.
    """
    if util.find_spec(_MODULE) is None:
        return "TensorRT-RTX", 'not asked: not installed (pip install "edgebert[tensorrt-check]")'
    profiles = [{name: [shapes.min, shapes.opt, shapes.max] for name, shapes in one.items()} for one in recipe.profiles]
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(model)],
            input=json.dumps({"workspace": recipe.workspace_mb * 10**6, "profiles": profiles}),
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"TensorRT-RTX did not build the file within {_TIME_LIMIT_S} s.") from error
    name = f"TensorRT-RTX {metadata.version(_DISTRIBUTION)}"
    answer: dict[str, Any] = {}
    if done.returncode == 0:
        answer = json.loads(done.stdout.splitlines()[-1])
    if "bytes" not in answer:
        reasons = answer.get("refused") or [f"its process ended with code {done.returncode}: {done.stderr[-500:]}"]
        raise BackendError(f"{name} refuses the file: {'; '.join(reasons)}")
    return name, f"builds it for {_CAPABILITY} ({answer['bytes'] / 1e6:.1f} MB); nothing was run"


def _build(model: str, recipe: dict[str, Any]) -> dict[str, Any]:
    trt = import_module(_MODULE)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)  # strongly typed: it has no other way
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(model):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        return {"refused": [f"{error.node_operator()} {error.node_name()}: {error.desc()}"[:300] for error in errors]}
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, recipe["workspace"])
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, _CAPABILITY), 0)
    for shapes in recipe["profiles"]:
        profile = builder.create_optimization_profile()
        for name, (least, best, most) in shapes.items():
            profile.set_shape(name, least, best, most)
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return {"refused": ["the builder made no plan"]} if plan is None else {"bytes": plan.nbytes}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_build(sys.argv[1], json.loads(sys.stdin.read()))) + "\n")
