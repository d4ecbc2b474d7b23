"""A stand-in for NVIDIA's module ``tensorrt``, of version 8.6, 10.3 or 11, that is as strict as the recorded surface.

Every class, method, parameter, property and member of an enumeration is one that ``surfaces/*.json`` has, and a call
that pybind11 would refuse is refused. What it does is what that version does, as NVIDIA documents it; a build makes a
plan that only the same version on the same GPU takes, and a run gives right answers, since ONNX Runtime computes them
on the CPU, from and to the "device memory" of :mod:`tests.jetson.fake_cudart`. Where the real one would crash or
corrupt memory, this one ends the process with a message.

Three variables steer it:

- ``FAKE_TENSORRT_LOG``: a file to which what happens is appended, a line of JSON each (:mod:`.events`).
- ``FAKE_TENSORRT_FAULT``: what goes wrong, with commas between: ``refuse:OPERATOR``, ``oom-build``, ``crash-build``,
  ``hang-build``, ``wrong-answers``, ``nan``, ``oom-context``, ``deserialize-none``, ``fail-run``, ``no-library``.
- ``FAKE_TENSORRT_BUILD_S``: seconds that a build takes, spread over its steps.

Seen of the real ones were: names and signatures (``surfaces/*.json`` say of what); what pybind11 refuses, the parser's
errors, the phases of a build and its end when it is cancelled, and damaged timing caches (TensorRT-RTX 1.7.1, for 11);
and a Runtime without a driver (10.15 and 11.4 log an error, and crash when it is used or freed). The rest follows
NVIDIA's documentation and nobody has compared it with a real one: contexts, profiles and memory, the types that a
weakly typed build chooses, plans that are refused, and what 8.6 and 10.3 say when they build.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from tests.jetson.fake_tensorrt import builder, functions, network, runtime
from tests.jetson.fake_tensorrt.events import told
from tests.jetson.fake_tensorrt.strict import make_surface

VERSIONS = ("8.6", "10.3", "11")


def make_module(version: str) -> ModuleType:
    """The module ``tensorrt`` of one of :data:`VERSIONS`."""
    if told("no-library"):
        raise ImportError("libnvinfer.so: cannot open shared object file: No such file or directory")
    path = Path(__file__).parents[1] / "surfaces" / f"{version}.json"
    surface = json.loads(path.read_bytes())
    implementations = {**builder.CLASSES, **functions.CLASSES, **network.CLASSES, **runtime.CLASSES}
    return make_surface(surface, implementations, functions.FUNCTIONS)
