"""Runs one .tflite file in the one TFLite runtime that is installed here, and prints what it saw as JSON.

Needs numpy and either ``ai-edge-litert`` or ``tflite-runtime``, on any Python from 3.9. ``tflite_runtimes.py`` starts
it::

    python tflite_runtimes_worker.py MODEL INPUTS LOGITS THREADS REPETITIONS

``INPUTS`` is an .npz with ``input_ids`` and ``attention_mask`` int32 ``[n, longest]`` and ``bucket`` ``[n]``. Where
``LOGITS`` is not ``-``, the logits float32 ``[n, labels]`` are written to it as .npy.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP = 3


def main() -> None:
    """Load, answer every input where asked, time one full input per length, and print the peak of memory."""
    model, inputs, logits, threads, repetitions = sys.argv[1:]
    distribution, interpreter = open_model(model, int(threads))
    runners = {
        int(name.rpartition("_")[2]): interpreter.get_signature_runner(name)
        for name in interpreter.get_signature_list()
    }
    told: dict[str, Any] = {
        "runtime": distribution,
        "version": metadata.version(distribution),
        "p50_ms": {},
        "cpu_p50_ms": {},
    }
    told["delegated_parts"] = sum(node["op_name"] == "DELEGATE" for node in interpreter._get_ops_details())
    with np.load(inputs) as data:
        rows = {name: data[name] for name in data.files}
    if logits != "-":
        np.save(logits, np.stack([answer(runners, rows, row) for row in range(len(rows["bucket"]))]))
    for length in sorted(runners) if int(repetitions) else ():
        ids = np.resize(rows["input_ids"][rows["attention_mask"] == 1], (1, length))
        took = []
        for _ in range(WARM_UP + int(repetitions)):
            start = time.perf_counter(), time.process_time()
            runners[length](input_ids=ids, attention_mask=np.ones_like(ids))
            took.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        wall, cpu = np.median(took[WARM_UP:], axis=0) * 1e3
        told["p50_ms"][length], told["cpu_p50_ms"][length] = round(float(wall), 3), round(float(cpu), 3)
    told["peak_rss_bytes"] = peak_rss_bytes()
    print(json.dumps(told))


def open_model(path: str, threads: int) -> tuple[str, Any]:
    """The runtime's distribution, and an interpreter with its default delegate."""
    try:
        from ai_edge_litert.interpreter import Interpreter

        distribution = "ai-edge-litert"
    except ImportError:
        from tflite_runtime.interpreter import Interpreter

        distribution = "tflite-runtime"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    return distribution, interpreter


def answer(runners: dict[int, Any], rows: dict[str, Any], row: int) -> Any:  # noqa: ANN401 (numpy has none to tell)
    """The logits of one input."""
    length = int(rows["bucket"][row])
    cut = {name: rows[name][row : row + 1, :length] for name in ("input_ids", "attention_mask")}
    return runners[length](**cut)["logits"][0]


def peak_rss_bytes() -> int:
    """``VmHWM``: mapped files are in it."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
