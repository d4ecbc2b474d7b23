"""The kernels that XNNPACK chooses on this CPU, by their names, from the profiler of LiteRT.

The interpreter that serves has no profiler in Python. ``libLiteRt.so``, which comes with ai-edge-litert 2, has one: it
compiles the same file for the CPU, with the same XNNPACK. Its C functions have no Python binding and no promise, so
that they are called in a process of their own, whose crash only means that the kernels are not told; and what it says
counts only if it left the same operators to builtin kernels as the interpreter did.

Declarations: https://github.com/google-ai-edge/LiteRT, ``litert/c``.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from edgebert.runtime.engines.base import Kernel, Operator
from edgebert.runtime.engines.tflite_graph import BUILTIN

_LIBRARY = "libLiteRt.so"
_CPU = 1
"""``kLiteRtHwAcceleratorCpu``."""
_TENSOR_TYPE_BYTES = 512
"""More than a ``LiteRtRankedTensorType`` takes, which is handed through and not looked at."""
_PATIENCE = 600
"""Seconds that a run may take; a large model under emulation takes a minute."""

_EVENT = re.compile(r"^\s*(?P<name>\S.*?)(?:\s+[\d.]+%?){6}\s+\d+\s+\[(?P<source>Builtin|Delegate)\]:\d+$")
"""A line of the summary: name, times, shares, memory, calls, where it ran."""


def profile_kernels(model: Path, signature: str, operators: Sequence[Operator]) -> tuple[Kernel, ...]:
    """The kernels of XNNPACK for one run of a signature, most frequent first.

    Args:
        model: a ``.tflite`` file.
        signature: the key of the signature to run.
        operators: what the interpreter executes.

    Raises:
        ValueError: they cannot be told; the message says why.
    """
    command = [sys.executable or "python3", "-m", __name__, str(model), signature]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # so that it finds the same packages
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"LiteRT's profiler cannot be started: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ValueError(f"LiteRT's profiler ended with {done.returncode}: {said[-1] if said else 'nothing said'}")
    told: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    builtin: Counter[str] = Counter()
    for one in operators:
        if one.executed_by == BUILTIN:
            builtin[one.type] += one.count
    if told["Builtin"] != builtin:
        raise ValueError("LiteRT's profiler runs the file in another way than the interpreter")
    return tuple(Kernel(count, name) for name, count in Counter(told["Delegate"]).most_common())


def read_summary(summary: str) -> dict[str, Counter[str]]:
    """What ran where, from the text of ``LiteRtGetProfileSummary``: ``"Builtin"``, ``"Delegate"`` -> name -> count."""
    counts: dict[str, Counter[str]] = {"Builtin": Counter(), "Delegate": Counter()}
    in_order = summary.partition("Run Order")[2].partition("=\n\n")[0].partition(" Top by ")[0]
    for line in in_order.splitlines():
        if event := _EVENT.match(line):
            counts[event["source"]][event["name"].removeprefix("Delegate/")] += 1
    return counts


class _LiteRt:
    """Calls of the library; each one that fails is an error."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def __call__(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, f"LiteRt{name}")(*arguments)
        if status != 0:
            raise RuntimeError(f"LiteRt{name} gives {status}")

    def make(self, name: str, *arguments: object) -> ctypes.c_void_p:
        """What a function writes to its last argument."""
        made = ctypes.c_void_p()
        self(name, *arguments, ctypes.byref(made))
        return made

    def count(self, name: str, *arguments: object) -> int:
        counted = ctypes.c_size_t()
        self(name, *arguments, ctypes.byref(counted))
        return counted.value

    def text(self, name: str, *arguments: object) -> str:
        text = ctypes.c_char_p()
        self(name, *arguments, ctypes.byref(text))
        return (text.value or b"").decode()


def _summary(library: Path, model: str, signature: str) -> str:
    """Run a signature once with input of zeros. What is opened is freed when the process ends, soon after."""
    call = _LiteRt(library)
    environment = call.make("CreateEnvironment", 0, None)
    opened = call.make("CreateModelFromFile", environment, ctypes.c_char_p(os.fsencode(model)))
    options = call.make("CreateOptions")
    call("SetOptionsHardwareAccelerators", options, _CPU)
    payload = ctypes.create_string_buffer(b"enable_profiling = true\n")
    keep = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
    profiling = call.make("CreateOpaqueOptions", ctypes.c_char_p(b"runtime_options_string"), payload, keep)
    call("AddOpaqueOptions", options, profiling)
    compiled = call.make("CreateCompiledModel", environment, opened, options)
    profiler = call.make("CompiledModelGetProfiler", compiled)
    signatures = [
        call.make("GetModelSignature", opened, ctypes.c_size_t(place))
        for place in range(call.count("GetNumModelSignatures", opened))
    ]
    place = [call.text("GetSignatureKey", one) for one in signatures].index(signature)

    def buffers(side: str) -> ctypes.Array[ctypes.c_void_p]:
        made = []
        for index in map(ctypes.c_size_t, range(call.count(f"GetNumSignature{side}s", signatures[place]))):
            tensor = call.make(f"GetSignature{side}TensorByIndex", signatures[place], index)
            kind = ctypes.create_string_buffer(_TENSOR_TYPE_BYTES)
            call("GetRankedTensorType", tensor, kind)
            needs = call.make(f"GetCompiledModel{side}BufferRequirements", compiled, ctypes.c_size_t(place), index)
            made.append(call.make("CreateManagedTensorBufferFromRequirements", environment, kind, needs))
            call("ClearTensorBuffer", made[-1])
        return (ctypes.c_void_p * len(made))(*made)

    inputs, outputs = buffers("Input"), buffers("Output")
    call("StartProfiler", profiler)
    call(
        "RunCompiledModel",
        compiled,
        ctypes.c_size_t(place),
        ctypes.c_size_t(len(inputs)),
        inputs,
        ctypes.c_size_t(len(outputs)),
        outputs,
    )
    call("StopProfiler", profiler)
    return call.text("GetProfileSummary", profiler, compiled)


def _main() -> None:
    found = find_spec("ai_edge_litert")
    folders = [] if found is None else list(found.submodule_search_locations or ())
    libraries = [path for folder in folders if (path := Path(folder) / _LIBRARY).is_file()]
    if not libraries:
        sys.exit(f"this runtime has no {_LIBRARY}")
    sys.stdout.write(json.dumps(read_summary(_summary(libraries[0], *sys.argv[1:3]))))


if __name__ == "__main__":
    _main()
