"""A stand-in for NVIDIA's module ``tensorrt``, of version 8.6, 10.3 or 11, that is as strict as the recorded surface.

Every class, method, parameter, property and member of an enumeration is one that ``surfaces/*.json`` has, and a call
that pybind11 would refuse is refused. What it does is what that version does, as NVIDIA documents it; a build makes a
plan that only the same version on the same GPU takes, and a run gives right answers, since ONNX Runtime computes them
on the CPU, from and to the "device memory" of :mod:`tests.jetson.fake_cudart`. Where the real one would crash or
corrupt memory, this one ends the process with a message.

Three variables steer it:

- ``FAKE_TENSORRT_LOG``: a file to which what happens is appended, a line of JSON each (:mod:`.events`).
- ``FAKE_TENSORRT_FAULT``: what goes wrong, with commas between: ``refuse:OPERATOR``, ``oom-build``, ``crash-build``,
  ``hang-build``, ``wrong-answers``, ``nan``, ``oom-context``, ``deserialize-none``, ``fail-run``.
- ``FAKE_TENSORRT_BUILD_S``: seconds that a build takes, spread over its steps.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from tests.jetson.fake_tensorrt import builder, functions, network, runtime
from tests.jetson.fake_tensorrt.strict import make_surface

VERSIONS = ("8.6", "10.3", "11")


def make_module(version: str) -> ModuleType:
    """The module ``tensorrt`` of one of :data:`VERSIONS`."""
    path = Path(__file__).parents[1] / "surfaces" / f"{version}.json"
    surface = json.loads(path.read_bytes())
    implementations = {**builder.CLASSES, **functions.CLASSES, **network.CLASSES, **runtime.CLASSES}
    return make_surface(surface, implementations, functions.FUNCTIONS)
