"""Does NVIDIA's current parser and builder accept an ONNX file? Asked of TensorRT-RTX, which needs no GPU for it.

TensorRT-RTX (the extra ``tensorrt-check``) is TensorRT for desktop GPUs. It builds for none of Jetson's, so that its
plan is thrown away; that it can make one says that a current TensorRT knows every operator, type and shape of the file.
It runs in a process of its own, which it may end.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module, metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

from edgebert.bundle.recipe import Recipe
from edgebert.errors import BackendError

_MODULE = "tensorrt_rtx"
_DISTRIBUTION = "tensorrt-rtx-cu12"
_CAPABILITY = "SM86"
"""Desktop Ampere: the generation of Orin's GPU (8.7), which is not among those it builds for."""

_TIME_LIMIT_S = 900
_REASON = 300
"""Characters that are kept of what it says."""


def check(model: Path, recipe: Recipe) -> tuple[str, str]:
    """Parse and build ``model`` by ``recipe``.

    Returns:
        What answered, with its version, and what it said; that it is not installed, if so.

    Raises:
        BackendError: it refuses the file, and the message names every node that it does not know, or what its builder
            said; or its process crashed, or took too long.
    """
    if util.find_spec(_MODULE) is None:
        return "TensorRT-RTX", 'not asked: not installed (pip install "edgebert[tensorrt-check]")'
    profiles = [{name: [shapes.min, shapes.opt, shapes.max] for name, shapes in one.items()} for one in recipe.profiles]
    name = f"TensorRT-RTX {metadata.version(_DISTRIBUTION)}"
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(model)],
            input=json.dumps({"workspace": recipe.workspace_mb * 10**6, "profiles": profiles}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{name} did not build the file within {_TIME_LIMIT_S} s.") from error
    answer = _answer(done)
    if "refused" in answer:
        raise BackendError(f"{name} refuses the file: {'; '.join(answer['refused'])}")
    return name, f"builds it for {_CAPABILITY} ({answer['bytes'] / 1e6:.1f} MB); nothing was run"


def _answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the process printed last, or how it ended without."""
    last = done.stdout.splitlines()[-1:]
    if done.returncode == 0 and last:
        with contextlib.suppress(ValueError):
            answer: dict[str, Any] = json.loads(last[0])
            return answer
    end = f"signal {-done.returncode}" if done.returncode < 0 else f"code {done.returncode}"
    return {
        "refused": [f"its process ended with {end} and no answer; {done.stderr.strip()[-500:] or 'it said nothing'}"]
    }


def _build(model: str, recipe: dict[str, Any]) -> dict[str, Any]:
    trt = import_module(_MODULE)
    said: list[str] = []
    logger = _logger(trt, said)
    builder = trt.Builder(logger)
    network = builder.create_network(0)  # strongly typed: it has no other way
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(model):
        return {"refused": _nodes([parser.get_error(index) for index in range(parser.num_errors)])}
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
    if plan is None:
        return {"refused": said or ["the builder made no plan, and said nothing"]}
    return {"bytes": plan.nbytes}


def _nodes(errors: Sequence[Any]) -> list[str]:
    """Every node that the parser does not take, by name, those of one operator and reason together."""
    named: dict[tuple[str, str], list[str]] = {}
    for error in errors:
        name = error.node_name() or f"node {error.node()}"
        named.setdefault((error.node_operator(), error.desc()), []).append(name)
    return [
        f"{operator} ({', '.join(names)}): {reason[:_REASON]}" if operator else reason[:_REASON]
        for (operator, reason), names in named.items()
    ]


def _logger(trt: ModuleType, errors: list[str]) -> object:
    """A logger that adds errors to a list; TensorRT's own prints them where the answer is expected."""
    base: Any = trt.ILogger

    class Logger(base):  # type: ignore[misc]  # the base is known when the module is
        def log(self, severity: int, message: str) -> None:
            if severity <= base.ERROR:
                errors.append(message[:_REASON])

    return Logger()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_build(sys.argv[1], json.loads(sys.stdin.read()))) + "\n")
