"""What a device is to install, read from the lines of its target: the requirements after ``pip install``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement

from edgebert.convert.target import Target
from edgebert.devices.wheels import PythonHost, install_line
from edgebert.errors import TargetError

RUNTIMES = ("ai-edge-litert", "tflite-runtime", "onnxruntime", "openvino")
"""Distributions that run artifacts and are installed with pip."""


def wanted_requirements(target: Target, runtimes: Sequence[str]) -> list[Requirement]:
    """The requirements of a device, EdgeBERT first.

    Args:
        target: its ``install`` says what, where ``runtimes`` does not.
        runtimes: some of :data:`RUNTIMES`, or none.

    Raises:
        TargetError: nothing is installed with pip there, or with options that a wheelhouse cannot follow; or there is
            no such runtime.
    """
    lines = [_line(name) for name in runtimes] or [line for line in target.install if _is_pip(line)]
    if not lines:
        raise TargetError(
            f"There is no wheelhouse for {target.name}: nothing is installed with pip there. "
            f"Its line is: {target.install[0]}",
            hint=f"The target's README.md says what an app for it needs: targets/{target.name}/README.md",
        )
    found = [Requirement("edgebert")]
    for line in lines:
        for word in shlex.split(line, comments=True)[2:]:
            try:
                found.append(Requirement(word))
            except InvalidRequirement as error:
                raise TargetError(
                    f"{target.name}: {word!a} in the line {line!a} is no requirement that a wheelhouse can follow.",
                    hint='A line has names and versions alone, as in: pip install "edgebert[onnx]"; pip\'s own settings'
                    " (pip config) say where from.",
                ) from error
    return found


def _is_pip(line: str) -> bool:
    return line.split()[:2] == ["pip", "install"]


def _line(runtime: str) -> str:
    if runtime not in RUNTIMES:
        raise TargetError(f"There is no runtime {runtime!a}.", hint=f"The runtimes are {', '.join(RUNTIMES)}.")
    # Of a Python that each has wheels for: which it has for the device, the index must say.
    return install_line(runtime, PythonHost((3, 11), "Linux", "aarch64", "glibc"))
