"""What ``gpu.py`` measures in a process of its own, of one artifact: a job on standard input, figures on output."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import edgebert
from edgebert.assets import calibration_texts
from edgebert.bench.inputs import text_of_length
from edgebert.bundle import Bundle, open_bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.errors import EdgebertError
from edgebert.runtime.engines import ArtifactEngine, build_engine
from edgebert.runtime.engines.base import plain_inputs
from edgebert.runtime.nvidia import CudaRuntime, open_host
from edgebert.runtime.selection import Candidate, rank
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer

WARM_UP = 5
THREADS = (1, 4, 16)


def steady(job: dict[str, Any]) -> dict[str, Any]:
    """Latency of each length, throughput and memory, once the artifact is loaded."""
    bundle = open_bundle(job["bundle"])
    [candidate] = rank(bundle.manifest, describe_machine(), find_runtimes(), artifact=job["artifact"])
    assert candidate.runtime is not None
    cuda = open_host(candidate.runtime).cuda if candidate.artifact.backend == "tensorrt" else None
    free = cuda.free_memory()[0] if cuda else 0
    files = [bundle.file(ref) for ref in candidate.artifact.files]
    engine = build_engine(candidate.artifact, files, describe_machine().physical_cores, candidate.runtime)
    told: dict[str, Any] = {"lengths": _lengths(bundle, candidate, engine, cuda, job)}
    told["facts"] = dataclasses.asdict(engine.facts)
    told["gpu_memory_bytes"] = free - cuda.free_memory()[0] if cuda else None
    engine.close()
    with edgebert.load(job["bundle"], artifact=job["artifact"], strict=True) as model:
        told["answer_ms"] = _answers(bundle, model, job)
        told["texts_per_second"] = {str(count): _throughput(model, count, job["seconds"]) for count in THREADS}
    return told


def start(job: dict[str, Any]) -> dict[str, Any]:
    """The monotonic time of the first answer."""
    with edgebert.load(job["bundle"], artifact=job["artifact"], strict=True) as model:
        model("a gripping film .")
        return {"at": time.monotonic()}


def _lengths(
    bundle: Bundle, candidate: Candidate, engine: ArtifactEngine, cuda: CudaRuntime | None, job: dict[str, Any]
) -> dict[str, Any]:
    """Per length: milliseconds of one run, host arrays in and out, and of what TensorRT alone takes for it."""
    told: dict[str, Any] = {}
    for length in job["lengths"]:
        inputs = plain_inputs(bundle.manifest.task.format, length)
        inputs["input_ids"][:] = np.arange(length) % 64
        for _ in range(WARM_UP):
            engine.run(inputs)
        rounds = []
        for _ in range(job["rounds"]):
            one: dict[str, Any] = {"run": _timed(lambda inputs=inputs: engine.run(inputs), job)}  # type: ignore[misc]
            if cuda is not None:
                one |= _enqueue_only(engine, cuda, candidate.artifact.shapes.buckets.index(length), inputs, job)
            rounds.append(one)
        told[str(length)] = _summary(rounds)
    return told


def _enqueue_only(
    engine: Any,  # noqa: ANN401 - the engine of TensorRT alone has lanes
    cuda: CudaRuntime,
    profile: int,
    inputs: dict[str, Any],
    job: dict[str, Any],
) -> dict[str, float]:
    """Milliseconds of the GPU for one inference whose inputs are there already, many of them one after the other.

    That is the best that anybody gets from this plan, as ``trtexec`` measures it without transfers: the same context
    that ``engine.run`` uses, by single launches of its kernels, and as a CUDA graph.
    """
    with engine.lane() as lane:
        stream, context = lane.slot(profile, inputs)

        def enqueue() -> None:
            if not context.execute_async_v3(stream):
                raise RuntimeError("TensorRT does not run the plan")

        told = {"enqueue": _between_events(cuda, stream, enqueue, job["calls"])}
        try:
            graph = cuda.record(stream, enqueue)
        except EdgebertError:  # TensorRT cannot be recorded with every plan
            return told
        try:
            told["graph"] = _between_events(cuda, stream, lambda: cuda.launch(graph, stream), job["calls"])
        finally:
            cuda.destroy_graph(graph)
        return told


def _between_events(cuda: CudaRuntime, stream: int, work: Callable[[], None], calls: int) -> float:
    before, after = cuda.create_event(), cuda.create_event()
    try:
        for _ in range(WARM_UP):
            work()
        cuda.synchronize(stream)
        cuda.record_event(before, stream)
        for _ in range(calls):
            work()
        cuda.record_event(after, stream)
        cuda.synchronize(stream)
        return cuda.elapsed_ms(before, after) / calls
    finally:
        cuda.destroy_event(before)
        cuda.destroy_event(after)


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    times = [value for one in rounds for value in one["run"]]
    told: dict[str, Any] = {
        "p50_ms": float(np.percentile(times, 50)),
        "p95_ms": float(np.percentile(times, 95)),
        "count": len(times),
    }
    if "enqueue" in rounds[0]:
        for kind in ("enqueue", "graph"):
            values = [one[kind] for one in rounds if kind in one]
            told[f"{kind}_ms"] = statistics.median(values) if values else None
        # Round by round, since a GPU's clocks move: what is compared was measured within the same second.
        best = [min(one[kind] for kind in ("enqueue", "graph") if kind in one) for one in rounds]
        told["ratios"] = [statistics.median(one["run"]) / least for one, least in zip(rounds, best, strict=True)]
    return told


def _answers(bundle: Bundle, model: edgebert.Model, job: dict[str, Any]) -> dict[str, Any]:
    """Per length: milliseconds from a text to its answer."""
    task = open_task(bundle.manifest.task)
    tokenizer = TextTokenizer(bundle.read(bundle.manifest.tokenizer.file), max_length=model.max_length)
    told = {}
    for length in job["lengths"]:
        item, options = model.example(text_of_length(task, tokenizer, calibration_texts(), length))

        def answer(item: object = item, options: Any = options) -> object:  # noqa: ANN401
            return model(item, **options)

        for _ in range(WARM_UP):
            answer()
        times = [value for _ in range(job["rounds"]) for value in _timed(answer, job)]
        told[str(length)] = {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}
    return told


def _throughput(model: edgebert.Model, count: int, seconds: float) -> float:
    """Texts in a second when ``count`` threads ask one text at a time."""
    inputs = [model.example(text) for text in calibration_texts()]
    end = time.monotonic() + 2 * seconds

    def work(place: int) -> int:
        done = 0
        while time.monotonic() < end:
            item, options = inputs[(place + done) % len(inputs)]
            model(item, **options)
            done += 1
        return done

    begin = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        done = sum(pool.map(work, range(0, len(inputs), max(len(inputs) // count, 1))[:count]))
    return done / (time.monotonic() - begin)


def _timed(call: Callable[[], object], job: dict[str, Any]) -> list[float]:
    """Milliseconds of each of some calls: as many as asked for, or as fit into the time for them, at least one."""
    times: list[float] = []
    end = time.perf_counter() + float(job["seconds"])
    while not times or (len(times) < job["calls"] and time.perf_counter() < end):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1000)
    return times


def main() -> None:
    """Does the job on standard input."""
    job = json.loads(sys.stdin.read())
    with os.fdopen(os.dup(1), "w", encoding="ascii") as answer:
        os.dup2(2, 1)  # what TensorRT prints
        try:
            told = {"steady": steady, "start": start}[job["what"]](job)
        except EdgebertError as error:
            sys.exit(f"{type(error).__name__}: {error}")
        json.dump(told, answer)


if __name__ == "__main__":
    main()
