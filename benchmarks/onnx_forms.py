"""How an ONNX graph is written, and what it costs: standard or fused operators, float32 and int8, in one run.

    python benchmarks/onnx_forms.py BUNDLE --threads 1 --threads 2 --out FILE

BUNDLE has the artifact ``onnx-fp32``; the other forms are made of it. Each form is one session of this process; they
alternate in random order, ``--repetitions`` times for each length, each time one call without the clock and one with
it. Needs the build host's packages and an idle machine.
"""

from __future__ import annotations

import json
import platform
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import click
import numpy as np
import onnx
import onnxruntime

from edgebert.bench.process import load_average
from edgebert.bundle import open_bundle
from edgebert.convert.exporters.onnx import MODEL_FILE, save
from edgebert.convert.exporters.onnx_fusion import fuse
from edgebert.convert.exporters.onnx_int8 import quantize
from edgebert.devices import describe_machine

LENGTHS = (8, 26, 64, 128)
VOCABULARY = 1000
"""Ids below this one are drawn: every vocabulary here has them, and no operator's time depends on which they are."""

FORMS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "fp32": lambda model: model,
    "fp32, fused": fuse,
    "int8": quantize,
    "int8, fused": lambda model: quantize(fuse(model)),
}


def measure(sessions: dict[str, onnxruntime.InferenceSession], length: int, repetitions: int) -> dict[str, list[float]]:
    """Milliseconds of each call, by form."""
    draw = np.random.default_rng(length)
    feeds = {
        "input_ids": draw.integers(0, VOCABULARY, (1, length)).astype(np.int32),
        "attention_mask": np.ones((1, length), np.int32),
    }
    order = random.Random(length)
    samples: dict[str, list[float]] = {form: [] for form in sessions}
    for _ in range(repetitions):
        for form in order.sample(list(sessions), len(sessions)):
            sessions[form].run(None, feeds)
            start = perf_counter()
            sessions[form].run(None, feeds)
            samples[form].append((perf_counter() - start) * 1000)
    return samples


def percentiles(values: list[float]) -> dict[str, float]:
    """The median, and what nine of ten calls lie between."""
    return {f"p{share}": round(float(np.percentile(values, share)), 4) for share in (5, 50, 95)}


def open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """As the runtime opens one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--threads", type=click.IntRange(1), multiple=True, default=(1,), show_default=True)
@click.option("--repetitions", type=click.IntRange(10), default=60, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(bundle: Path, threads: tuple[int, ...], repetitions: int, out: Path) -> None:
    """Measure the forms of a bundle's ONNX graph."""
    opened = open_bundle(bundle)
    artifact = opened.manifest.artifact("onnx-fp32")
    before = load_average()
    rows = []
    with tempfile.TemporaryDirectory(prefix="edgebert-forms-") as name:
        folder = Path(name)
        source = folder / "source"
        source.mkdir()
        for file in artifact.files:
            shutil.copyfile(opened.file(file), source / Path(file.path).name)
        nodes = {}
        for form, make in FORMS.items():
            model = make(onnx.load(source / MODEL_FILE))
            nodes[form] = len(model.graph.node)
            (folder / form).mkdir()
            save(model, folder / form)
        for count in threads:
            sessions = {form: open_session(folder / form / MODEL_FILE, count) for form in FORMS}
            for length in LENGTHS:
                samples = measure(sessions, length, repetitions)
                latency = {form: percentiles(values) for form, values in samples.items()}
                rows.append({"threads": count, "tokens": length, "ms": latency})
                shown = "  ".join(
                    f"{form} {one['p50']:.2f} ({one['p5']:.2f}-{one['p95']:.2f})" for form, one in latency.items()
                )
                click.echo(f"{count} threads, {length} tokens: {shown}")
    machine = describe_machine()
    whole = {
        "what": __doc__,
        "command": " ".join(sys.argv),
        "bundle": opened.manifest.name,
        "onnxruntime": onnxruntime.__version__,
        "python": platform.python_version(),
        "machine": {"model": machine.model, "cores": machine.physical_cores, "isa": sorted(machine.isa)},
        "load_average": {"before": before, "after": load_average()},
        "operators": nodes,
        "rows": rows,
    }
    out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
