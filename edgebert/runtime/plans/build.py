"""Building the plan of an artifact on this device, once."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from edgebert.bundle import Bundle
from edgebert.bundle.recipe import RECIPE_NAME, check_recipe
from edgebert.bundle.schema import Artifact
from edgebert.devices.backends import Runtime
from edgebert.devices.processes import describe_exit
from edgebert.errors import PlanError
from edgebert.runtime.engines.base import only_file
from edgebert.runtime.nvidia import open_host
from edgebert.runtime.plans.cache import PlanCache
from edgebert.runtime.plans.job import BuildDone, BuildFailure, BuildJob, BuildStep, parse_event
from edgebert.runtime.plans.key import PlanKey, artifact_digest, recipe_digest
from edgebert.runtime.plans.recipe_file import read_recipe

_BOOT = "import sys; sys.path[:] = {path!r}; from edgebert.runtime.plans.worker import main; main()"
_LOG_BYTES = 2000

Progress = Callable[[BuildStep], None]


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """A plan in the cache.

    Attributes:
        key: what it is bound to.
        size: in bytes.
        seconds: how long the build took; 0 when the plan was there already.
        timings: whether timings of an earlier build were used.
    """

    key: PlanKey
    size: int
    seconds: float
    timings: bool

    @property
    def was_there(self) -> bool:
        """Whether nothing had to be built."""
        return self.seconds == 0


def build_plan(
    bundle: Bundle, artifact: Artifact, runtime: Runtime, *, force: bool = False, progress: Progress | None = None
) -> BuiltPlan:
    """Make sure that the cache has a plan of ``artifact`` for this device; it is built in a process of its own.

    Nothing is known yet about its answers: open the artifact and run the self-test.

    Args:
        bundle: where the artifact is.
        artifact: one whose backend is TensorRT.
        runtime: the TensorRT to build with; a GPU must have been found.
        force: build it also when it is there.
        progress: is told how far the build is; not by TensorRT 8.6.

    Raises:
        PlanError: TensorRT refuses the file, memory does not suffice, or the process that builds is killed.
        BackendError: there is no GPU, or TensorRT cannot be used.
        BundleError: a file is altered, or the recipe is not one for this artifact.
        OutputError: the plan cannot be stored.
    """
    bundle.verify(artifact.files)
    files = [bundle.file(ref) for ref in artifact.files]
    recipe = read_recipe(files, artifact)
    check_recipe(recipe, artifact, bundle.manifest.inputs)
    host = open_host(runtime)
    key = host.key(artifact_digest(artifact), recipe_digest(recipe))
    cache = PlanCache()
    with cache.building():
        found = cache.find(key)
        if found.plan is not None and not force:
            return BuiltPlan(key, len(found.plan), 0.0, timings=False)
        job = BuildJob(
            model=str(only_file(files, ".onnx", artifact.id)),
            recipe=next(file for file in files if file.name == RECIPE_NAME).read_text(encoding="utf-8"),
            artifact=key.artifact,
            folder=str(cache.folder),
            runtime=runtime,
            cudart=host.cuda.path,
        )
        start = time.monotonic()
        done = _run(job, artifact.id, progress or (lambda step: None))
        return BuiltPlan(key, done.size, time.monotonic() - start, done.timings)


def _run(job: BuildJob, artifact: str, progress: Progress) -> BuildDone:
    boot = _BOOT.format(path=sys.path)
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", boot], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        except OSError as error:
            raise PlanError(
                f"The process that builds the plan of {artifact} cannot be started: {error}.",
                hint="Run `edgebert build-plan` with the bundle.",
            ) from error
        with process:
            try:
                answer = _listen(process, job, progress)
            except BaseException:  # also on Ctrl-C: nobody waits for it any more
                process.kill()
                raise
        if isinstance(answer, BuildDone):
            return answer
        if isinstance(answer, BuildFailure):
            raise PlanError(f"{artifact} is not built: {answer.message}", hint=answer.hint)
        raise PlanError(
            f"{artifact} is not built: TensorRT did not finish: {describe_exit(process.returncode)}{_end(log)}.",
            hint="Watch the memory meanwhile (on a Jetson with tegrastats); add swap where it is short.",
        )


def _listen(process: subprocess.Popen[str], job: BuildJob, progress: Progress) -> BuildDone | BuildFailure | None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(job.to_json())
        process.stdin.close()
    except BrokenPipeError:  # it ended at once, and its log says why
        return None
    answer: BuildDone | BuildFailure | None = None
    for line in process.stdout:
        event = parse_event(line)
        if isinstance(event, BuildStep):
            progress(event)
        else:
            answer = event
    return answer


def _end(log: IO[bytes]) -> str:
    """The last that the process wrote, as part of a sentence."""
    size = log.seek(0, 2)
    log.seek(max(size - _LOG_BYTES, 0))
    lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f"; it said last: {lines[-1]}" if lines else ""
