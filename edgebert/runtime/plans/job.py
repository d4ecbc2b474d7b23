"""What passes between the process that wants a plan and the one that builds it: JSON, one object a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from edgebert.devices.backends import Runtime


@dataclass(frozen=True, slots=True)
class BuildJob:
    """What to build.

    Attributes:
        model: path of the ONNX file.
        recipe: the text of ``recipe.json``.
        artifact: :func:`edgebert.runtime.plans.artifact_digest` of what the plan is built from.
        folder: the folder of the plan cache.
        runtime: the TensorRT to build with.
        cudart: the CUDA runtime library of the process that wants the plan, since it is a part of the key.
    """

    model: str
    recipe: str
    artifact: str
    folder: str
    runtime: Runtime
    cudart: str

    def to_json(self) -> str:
        """One line of ASCII."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BuildJob:
        """The job that :meth:`to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "runtime": Runtime(**fields["runtime"])})


@dataclass(frozen=True, slots=True)
class BuildStep:
    """How far a build is: ``done`` of ``total`` steps of a phase, by TensorRT's own names.

    ``parent`` is the phase that it is a part of, empty for an outermost one.
    """

    phase: str
    parent: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """Why there is no plan, and what to do about it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class BuildDone:
    """The plan is in the cache: its size in bytes, and whether timings of an earlier build were there to use."""

    size: int
    timings: bool


def dump_event(event: BuildStep | BuildFailure | BuildDone) -> str:
    """One line of ASCII, without its end."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def parse_event(line: str) -> BuildStep | BuildFailure | BuildDone:
    """The event that :func:`dump_event` wrote."""
    fields: dict[str, Any] = json.loads(line)
    kinds = {kind.__name__: kind for kind in (BuildStep, BuildFailure, BuildDone)}
    event: BuildStep | BuildFailure | BuildDone = kinds[fields.pop("event")](**fields)
    return event
