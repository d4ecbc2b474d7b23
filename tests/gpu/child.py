"""What the tests do with the GPU: ``python -m tests.gpu.child NAME`` calls a function, and prints what it returns.

Its arguments are JSON on standard input. Each runs in a process of its own, so that a crash, or an error after which
CUDA works no more, is one failed test and says nothing of the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import edgebert
from edgebert.bundle import Bundle, open_bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.errors import BackendError, BackendFallbackWarning, EdgebertError
from edgebert.runtime.batching import run_windows
from edgebert.runtime.engines import ArtifactEngine, build_engine
from edgebert.runtime.nvidia import CudaError, CudaRuntime, open_host
from edgebert.runtime.nvidia.cudart import OUT_OF_MEMORY
from edgebert.runtime.selection import rank
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer

TEXT = "a gripping , funny and unexpectedly moving film ."
_SMALLEST_PIECE = 1 << 20


def logits(bundle: str, artifact: str, texts: Sequence[str]) -> dict[str, Any]:
    """The first output of each text, by the engine alone; what one of the bundle's artifacts does not read is cut."""
    opened = open_bundle(bundle)
    with _engine(opened, artifact) as engine:
        manifest = opened.manifest
        length = min(manifest.tokenizer.max_length, *(one.shapes.max_length for one in manifest.artifacts))
        tokenizer = TextTokenizer(opened.read(manifest.tokenizer.file), max_length=length)
        task = open_task(manifest.task)
        options = task.parse_options(truncation=True)
        windows = [task.prepare(tokenizer, task.example(text), options).windows[0] for text in texts]
        outputs = run_windows(engine, windows, manifest.tokenizer.pad_id, 1)
        name = manifest.outputs[0].name
        return {"logits": [one[name].ravel().tolist() for one in outputs], "details": dict(engine.facts.details)}


def edges(bundle: str, artifact: str) -> dict[str, Any]:
    """The rows on which a mask may overflow, at every length: those whose outputs are not finite, and how many ran."""
    opened = open_bundle(bundle)
    golden = opened.golden()
    row = golden.input_ids[int(golden.attention_mask.sum(axis=1).argmax())]
    bad, runs = [], 0
    with _engine(opened, artifact) as engine:
        for bucket in engine.shapes.buckets:
            ids = np.resize(row, (1, bucket)).astype(np.int32)
            for kind, tokens in {"all padding": 0, "1 token": 1, "full": bucket}.items():
                mask = (np.arange(bucket) < tokens).astype(np.int32)[None]
                outputs = engine.run({"input_ids": ids, "attention_mask": mask})
                runs += 1
                if not all(np.isfinite(values).all() for values in outputs.values()):
                    bad.append(f"{kind} at {bucket} tokens")
    return {"bad": bad, "runs": runs}


def threads(bundle: str, artifact: str, texts: Sequence[str], count: int) -> dict[str, Any]:
    """The largest difference between the answers that one thread gets and those that each of many gets at once."""
    with edgebert.load(bundle, artifact=artifact, strict=True) as model:
        expected = {text: _answer(model, text) for text in texts}
        together = threading.Barrier(count)

        def work(place: int) -> float:
            start = place * len(texts) // count
            together.wait()
            # Each from another text on, so that different lengths meet.
            return max(_distance(_answer(model, text), expected[text]) for text in [*texts[start:], *texts[:start]])

        with ThreadPoolExecutor(count) as pool:
            return {"largest": max(pool.map(work, range(count))), "answers": count * len(texts)}


def closed(bundle: str, artifact: str, cycles: int) -> dict[str, Any]:
    """The GPU's memory that is free after each of some loads that answered at every length and were closed."""
    opened = open_bundle(bundle)
    free = []
    for _ in range(cycles):
        with edgebert.load(bundle, artifact=artifact, strict=True) as model:
            model.warmup()
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(model, [TEXT] * 8))
        free.append(_cuda(opened, artifact).free_memory()[0])
    return {"free": free, "engine": sum(file.size for file in opened.manifest.artifact(artifact).files)}


def no_memory(bundle: str, artifact: str) -> dict[str, Any]:
    """What loading says while this process holds nearly all of the GPU's memory, and whether it works after that."""
    cuda = _cuda(open_bundle(bundle), artifact)
    held, size = [], cuda.free_memory()[0]
    while size >= _SMALLEST_PIECE:
        try:
            held.append(cuda.allocate(size))
        except CudaError as error:
            if error.number != OUT_OF_MEMORY:
                raise
            size //= 2
    refused = _refusal(lambda: edgebert.load(bundle, artifact=artifact, strict=True))
    fallback = _fallback(bundle)
    for address in held:
        cuda.free(address)
    with edgebert.load(bundle, artifact=artifact, strict=True) as model:
        model.warmup()
    return {"refused": refused, "fallback": fallback}


def refused(bundle: str, artifact: str) -> dict[str, Any]:
    """What loading says of a plan that must not be used; TensorRT's ``Runtime`` would end this process."""
    import tensorrt

    def touched(*arguments: object) -> None:
        os._exit(99)

    tensorrt.Runtime = touched
    error = _refusal(lambda: edgebert.load(bundle, artifact=artifact, strict=True))
    return {"refused": error, "fallback": _fallback(bundle)}


def rebuilt(bundle: str, artifact: str) -> dict[str, Any]:
    """The answer of a model that builds its plan on loading."""
    with edgebert.load(bundle, artifact=artifact, build=True, strict=True) as model:
        return {"artifact": model.artifact, "answer": _answer(model, TEXT)}


def forked(bundle: str, artifact: str, count: int) -> dict[str, Any]:
    """The answers of the workers of a server that asks for the GPUs, forks, and only then loads."""
    from edgebert.devices.gpu import find_gpus

    assert find_gpus().problem is None
    workers = [_fork(lambda: rebuilt(bundle, artifact)["answer"]) for _ in range(count)]
    answers = []
    for process, pipe in workers:
        with os.fdopen(pipe, encoding="ascii") as file:
            answers.append(json.loads(file.read() or "null"))
        os.waitpid(process, 0)
    return {"answers": answers}


def first_answer(bundle: str, artifact: str) -> dict[str, Any]:
    """The monotonic time of the first answer, which the process that started this one can compare with its own."""
    with edgebert.load(bundle, artifact=artifact, strict=True) as model:
        answer = _answer(model, TEXT)
        return {"at": time.monotonic(), "answer": answer}


def _fork(work: Callable[[], object]) -> tuple[int, int]:
    end, start = os.pipe()
    process = os.fork()
    if process:
        os.close(start)
        return process, end
    try:
        with os.fdopen(start, "w", encoding="ascii") as file:
            json.dump(work(), file)
    finally:
        os._exit(0)


def _refusal(load: Callable[[], edgebert.Model]) -> dict[str, str] | None:
    try:
        load().close()
    except BackendError as error:
        return {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    return None


def _fallback(bundle: str) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with edgebert.load(bundle) as model:
            answer = _answer(model, TEXT)
    said = [str(one.message) for one in caught if one.category is BackendFallbackWarning]
    return {"artifact": model.artifact, "answer": answer, "said": said}


def _answer(model: edgebert.Model, text: str) -> tuple[str, float]:
    """A text's best label and its score."""
    [best] = model(text)  # type: ignore[misc]
    return str(best["label"]), float(best["score"])


def _distance(one: tuple[str, float], other: tuple[str, float]) -> float:
    return abs(one[1] - other[1]) if one[0] == other[0] else 1.0


@contextlib.contextmanager
def _engine(bundle: Bundle, artifact: str) -> Iterator[ArtifactEngine]:
    [candidate] = rank(bundle.manifest, describe_machine(), find_runtimes(), artifact=artifact)
    if candidate.runtime is None:
        raise BackendError(f"{artifact} cannot run here: {candidate.reason}")
    files = [bundle.file(ref) for ref in candidate.artifact.files]
    engine = build_engine(candidate.artifact, files, describe_machine().physical_cores, candidate.runtime)
    try:
        yield engine
    finally:
        engine.close()


def _cuda(bundle: Bundle, artifact: str) -> CudaRuntime:
    [candidate] = rank(bundle.manifest, describe_machine(), find_runtimes(), artifact=artifact)
    assert candidate.runtime is not None
    return open_host(candidate.runtime).cuda


def main() -> None:
    name, arguments = sys.argv[1], json.loads(sys.stdin.read())
    with os.fdopen(os.dup(1), "w", encoding="ascii") as answer:
        os.dup2(2, 1)  # what TensorRT prints
        try:
            told = globals()[name](**arguments)
        except EdgebertError as error:
            sys.exit(f"{type(error).__name__}: {error}")
        json.dump(told, answer)


if __name__ == "__main__":
    main()
