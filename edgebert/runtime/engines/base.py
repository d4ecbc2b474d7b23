"""The protocol that every backend implements: open (the constructor), run, close, and facts about itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle.schema import Artifact, Shapes, TaskFormat
from edgebert.devices.backends import Runtime
from edgebert.errors import BackendError, EdgebertError

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What really runs, as the backend itself reports it.

    ``distribution`` and ``version`` name the installed package, ``threads`` is the number of compute threads,
    ``device`` the device that executes, ``details`` whatever else a backend can tell (providers, delegate, precision).
    ``slowdown`` says what makes it slower than the backend is elsewhere; empty when nothing is known to.
    """

    artifact: str
    backend: str
    distribution: str
    version: str
    threads: int
    device: str
    details: Mapping[str, str]
    slowdown: str = ""


@dataclass(frozen=True, slots=True)
class Operator:
    """Operators of one kind that a graph executes, as the backend itself reports them.

    Attributes:
        count: how many they are.
        type: the backend's name of the operator, such as ``"FULLY_CONNECTED"``.
        precision: the data types, such as ``"float32 x int8 -> float32"``, by the backend's names.
        executed_by: what executes them: a delegate, a provider, or a kernel where the backend names it.
    """

    count: int
    type: str
    precision: str
    executed_by: str


@dataclass(frozen=True, slots=True)
class Kernel:
    """Kernels of one kind that ran, by the name that the backend's profiler has for them, and how many they are."""

    count: int
    name: str


@dataclass(frozen=True, slots=True)
class Execution:
    """What executes for one input, as the backend tells it; nothing is derived.

    Attributes:
        operators: those of the graph, most frequent first. What the backend folded or fused is not there by itself.
        kernels: the kernels of the delegate that took operators, most frequent first; empty where an operator's
            ``executed_by`` says it all.
        untold: what the backend does not tell, and why; empty when there is nothing.
    """

    operators: tuple[Operator, ...]
    kernels: tuple[Kernel, ...] = ()
    untold: str = ""


class Engine(Protocol):
    """What runs a graph. Safe to call from many threads."""

    @property
    def facts(self) -> EngineFacts:
        """What really runs."""
        ...

    @property
    def shapes(self) -> Shapes:
        """The input shapes that :meth:`run` takes."""
        ...

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Compute the outputs for one batch.

        Args:
            inputs: name -> integers; cast to the dtype that the graph declares. ``input_ids`` and ``attention_mask``
                are ``[batch, length]``; ``positions``, for a head that reads some places alone, ``[batch, n]``. When
                ``shapes.policy`` is ``"buckets"``, ``batch`` and ``n`` are 1 and ``length`` is one of the buckets.

        Returns:
            name -> array ``[batch, ...]``, owned by the caller: a later run does not write into it.
        """
        ...

    def close(self) -> None:
        """Free the backend. Not called while a run is in progress, and not called twice."""
        ...


class ArtifactEngine(Engine, Protocol):
    """One opened artifact."""

    def execution(self, inputs: Tensors) -> Execution:
        """What executes for these inputs.

        Costs as much as opening the artifact again, in time and in memory; :meth:`run` pays nothing for it.

        Args:
            inputs: as for :meth:`run`.

        Raises:
            BackendError: the backend does not tell, or fails.
            OutputError: what it tells cannot be written to a temporary file.
        """
        ...


class EngineFactory(Protocol):
    """How an engine is opened; each engine class is one."""

    def __call__(self, artifact: Artifact, files: list[Path], threads: int, runtime: Runtime) -> ArtifactEngine:
        """Open ``files`` of ``artifact`` in ``runtime`` with ``threads`` compute threads."""
        ...


def cast_inputs(inputs: Tensors, dtypes: Mapping[str, np.dtype[Any]], artifact: str) -> dict[str, NDArray[Any]]:
    """Inputs as C-contiguous arrays of the dtypes that a graph declares.

    Raises:
        BackendError: the graph takes other inputs than those given.
    """
    if inputs.keys() != dtypes.keys():
        raise BackendError(
            f"Artifact {artifact} takes the inputs {sorted(dtypes)}, not {sorted(inputs)}.",
            hint="Convert the checkpoint again.",
        )
    return {name: np.ascontiguousarray(inputs[name], dtype=dtype) for name, dtype in dtypes.items()}


def plain_inputs(task: TaskFormat, length: int) -> dict[str, NDArray[np.int32]]:
    """An input of one text of ``length`` tokens, of which only the shapes mean something."""
    inputs = {"input_ids": np.zeros((1, length), np.int32), "attention_mask": np.ones((1, length), np.int32)}
    if task.positions:
        inputs["positions"] = np.zeros((1, 1), np.int32)
    return inputs


def count_operators(operators: Iterable[Operator]) -> tuple[Operator, ...]:
    """Operators that differ in nothing but their count as one, most frequent first."""
    counts: Counter[Operator] = Counter()
    for operator in operators:
        counts[replace(operator, count=0)] += operator.count
    return tuple(replace(operator, count=count) for operator, count in counts.most_common())


def run_engine(engine: Engine, inputs: Tensors) -> dict[str, NDArray[Any]]:
    """Run ``engine`` once; whatever the backend raises becomes a :class:`~edgebert.errors.BackendError`."""
    try:
        return engine.run(inputs)
    except EdgebertError:
        raise
    except Exception as error:  # each backend has exception types of its own, and none may be imported here
        shape = "x".join(str(size) for size in inputs["input_ids"].shape)
        raise BackendError(
            f"Artifact {engine.facts.artifact} failed in {engine.facts.distribution} {engine.facts.version} "
            f"on an input of {shape}: {error}",
            hint="Run `edgebert verify` on the bundle; pin another artifact with artifact=... meanwhile.",
        ) from error


def only_file(files: list[Path], suffix: str, artifact: str) -> Path:
    """The one file with this suffix.

    Raises:
        BackendError: there is none, or there are several.
    """
    found = [file for file in files if file.suffix == suffix]
    if len(found) != 1:
        raise BackendError(
            f"Artifact {artifact} has {len(found)} {suffix} files; it must have exactly one.",
            hint="Convert the checkpoint again.",
        )
    return found[0]
