"""The process that builds a plan: reads a job from standard input, puts the plan into the cache, and tells of it.

It is a process of its own since a build takes memory that TensorRT does not give back, since the system may kill it
when there is not enough, and since nothing else stops a build of TensorRT 8.6.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from edgebert.bundle.recipe import Recipe, parse_recipe
from edgebert.errors import EdgebertError, OutputError, PlanError
from edgebert.runtime.nvidia import Host, api, open_host
from edgebert.runtime.nvidia.log import is_about_memory, make_log
from edgebert.runtime.plans.cache import PlanCache
from edgebert.runtime.plans.job import BuildDone, BuildFailure, BuildJob, BuildStep, dump_event
from edgebert.runtime.plans.key import PlanKey, recipe_digest

# ruff: noqa: ANN401 - objects of a module that only a device has

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_TIMINGS = "timings"
_ANY = "0" * 64
"""In place of a digest: timings of kernels are for every artifact and recipe."""
_TELL_EVERY_S = 0.1
_MEMORY_HINT = (
    "Close other programs that use the GPU; on a Jetson, whose GPU shares the memory of the system, stop the desktop "
    "(sudo systemctl isolate multi-user.target) and add swap. Or convert with a smaller workspace_mb, or fewer buckets."
)
_REFUSED_HINT = "Convert the checkpoint again, with this version of EdgeBERT; the ONNX artifacts of the bundle run."


def main() -> None:
    """Does the job on standard input; what TensorRT prints goes to standard error."""
    _end_with_parent()
    with os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1) as answers:
        os.dup2(2, 1)
        try:
            done = build(BuildJob.from_json(sys.stdin.read()), answers)
        except EdgebertError as error:
            answers.write(dump_event(BuildFailure(error.message, error.hint)) + "\n")
        else:
            answers.write(dump_event(done) + "\n")


def _end_with_parent() -> None:
    """Lets the system kill this process when the one that waits for it is killed, since nobody else would end it."""
    with contextlib.suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def build(job: BuildJob, answers: TextIO) -> BuildDone:
    """Builds a plan and stores it.

    Args:
        job: what to build.
        answers: where the steps go.

    Raises:
        PlanError: TensorRT refuses the file, or does not build it.
        BackendError: there is no GPU, or no TensorRT.
        OutputError: the plan cannot be stored.
    """
    ctypes.CDLL(job.cudart, ctypes.RTLD_GLOBAL)  # before TensorRT, which then uses it too
    host = open_host(job.runtime)
    recipe = parse_recipe(job.recipe.encode())
    log = make_log(host.tensorrt)
    timings = PlanCache(Path(job.folder) / _TIMINGS)
    timings_key = host.key(_ANY, _ANY)
    known = timings.find(timings_key).plan
    try:
        plan, learned = _build(host, Path(job.model), recipe, log, known, _monitor(host.tensorrt, answers))
    except EdgebertError:
        raise
    except Exception as error:  # exception types of its own
        raise _failure(host, f"{error}; {log.errors()}") from error
    with contextlib.suppress(OutputError):  # they only save time
        timings.store(timings_key, learned)
    key: PlanKey = host.key(job.artifact, recipe_digest(recipe))
    PlanCache(Path(job.folder)).store(key, plan)
    return BuildDone(len(plan), known is not None)


def _build(
    host: Host, model: Path, recipe: Recipe, log: Any, known: bytes | None, monitor: Any | None
) -> tuple[bytes, bytes]:
    """The plan, and the timings of kernels, old and new."""
    trt = host.tensorrt
    builder = trt.Builder(log)
    network = api.create_network(trt, builder)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(model)):
        raise PlanError(
            f"TensorRT {host.version} does not take {model.name}: {_refused_nodes(parser)}.", hint=_REFUSED_HINT
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, recipe.workspace_mb * 10**6)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # costs nothing, and `inspect --ops` can tell
    api.set_precision(trt, config, network, recipe.precision)
    api.share_profiles(trt, config)
    for shapes in recipe.profiles:
        profile = builder.create_optimization_profile()
        for name, one in shapes.items():
            profile.set_shape(name, one.min, one.opt, one.max)
        if config.add_optimization_profile(profile) < 0:
            raise _failure(host, log.errors())
    timings = config.create_timing_cache(known or b"")
    if known and timings is None:  # not from this TensorRT after all
        timings = config.create_timing_cache(b"")
    config.set_timing_cache(timings, False)
    if monitor is not None:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failure(host, log.errors())
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def _refused_nodes(parser: Any) -> str:
    """Every node that the parser cannot take, by name."""
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    return "; ".join(dict.fromkeys(f"{_node(error)}: {' '.join(error.desc().split()).rstrip('.')}" for error in errors))


def _node(error: Any) -> str:
    if hasattr(error, "node_name"):  # since 10
        return f"{error.node_operator()} {error.node_name()}"
    return f"node {error.node()}"


def _failure(host: Host, errors: str) -> PlanError:
    if is_about_memory(errors):
        return PlanError(
            f"TensorRT {host.version} has too little memory to build the plan: {errors}.", hint=_MEMORY_HINT
        )
    return PlanError(f"TensorRT {host.version} does not build the plan: {errors}.", hint=_REFUSED_HINT)


def _monitor(tensorrt: Any, answers: TextIO) -> Any | None:
    """Tells how far a build is; ``None`` for a TensorRT that does not tell, as 8.6."""
    if not hasattr(tensorrt, "IProgressMonitor"):
        return None

    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self._phases: dict[str, tuple[str, int]] = {}
            self._told = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases[phase_name] = (parent_phase or "", num_steps)
            self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if time.monotonic() - self._told < _TELL_EVERY_S:
                return True
            return self._tell(phase_name, step + 1)

        def phase_finish(self, phase_name: str) -> None:
            self._phases.pop(phase_name, None)

        def _tell(self, phase: str, done: int) -> bool:
            parent, total = self._phases.get(phase, ("", done))
            self._told = time.monotonic()
            return _write(answers, dump_event(BuildStep(phase, parent, done, total)))

    return Monitor()


def _write(answers: TextIO, line: str) -> bool:
    """Whether anybody still listens; a build that nobody waits for is to end."""
    try:
        answers.write(f"{line}\n")
    except OSError:
        return False
    return True
