"""One .tflite file in both TFLite runtimes, ``ai-edge-litert`` and ``tflite-runtime`` 2.14: answers, speed, memory.

Every pair of a layout and a runtime is a process of its own, in rounds whose order is shuffled, so that what changes
slowly in the machine hits all alike. ``tflite_layouts.py`` writes the layouts; the first is the one that the others are
compared with::

    python benchmarks/tflite_runtimes.py CHECKPOINT dev.tsv layouts/fp32.tflite layouts/*.tflite \\
        --old-python .venvs/tflite-runtime/bin/python --out results.json
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from edgebert.convert.checkpoint import load_checkpoint
from edgebert.devices import describe_machine
from edgebert.runtime.tokenization import TextTokenizer

WORKER = Path(__file__).with_name("tflite_runtimes_worker.py")
BUCKETS = (16, 32, 64, 128)
SEED = 0
RUNTIMES = ("ai-edge-litert", "tflite-runtime")
Job = tuple[str, str]
"""A layout and a runtime."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=click.Path(exists=True, file_okay=False))
@click.argument("data", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("layouts", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--old-python", required=True, type=click.Path(exists=True), help="A Python with tflite-runtime 2.14.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The JSON file to write.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--repetitions", default=20, show_default=True, type=click.IntRange(0), help="Per length and round.")
def main(
    checkpoint: str,
    data: Path,
    layouts: tuple[Path, ...],
    old_python: str,
    out: Path,
    threads: int,
    rounds: int,
    repetitions: int,
) -> None:
    """Compare LAYOUTS of CHECKPOINT, .tflite files with signatures of 16, 32, 64 and 128 tokens, on SST-2's DATA."""
    files = {path.stem: path for path in layouts}
    pythons = dict(zip(RUNTIMES, (sys.executable, old_python), strict=True))
    jobs = [(layout, runtime) for layout in files for runtime in pythons]
    told: dict[tuple[str, str], list[dict[str, Any]]] = {job: [] for job in jobs}
    loads = [os.getloadavg()]
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs.npz")
        gold = write_inputs(checkpoint, data, inputs)
        for number in range(rounds):
            for layout, runtime in random.Random(SEED + number).sample(jobs, len(jobs)):
                saved = "-" if number else f"{folder}/{layout}.{runtime}.npy"
                arguments = [str(files[layout]), str(inputs), saved, str(threads), str(repetitions)]
                told[layout, runtime].append(ask(pythons[runtime], arguments))
                click.echo(f"round {number + 1}: {layout} in {runtime}: {told[layout, runtime][-1]}", err=True)
            loads.append(os.getloadavg())
            logits = {job: np.load(f"{folder}/{job[0]}.{job[1]}.npy") for job in jobs if "failed" not in told[job][0]}
            result = {
                "command": "python benchmarks/tflite_runtimes.py " + " ".join(Path(one).name for one in sys.argv[1:]),
                "checkpoint": Path(checkpoint).name,
                "data": {"file": data.name, "sha256": sha256(data), "rows": len(gold)},
                "machine": {"cpu": describe_machine().model, "cores": os.cpu_count(), "threads": threads},
                "rounds": number + 1,
                "load_average": loads,
                "reference": layouts[0].stem,
                "layouts": [describe(path, told, logits, layouts[0].stem, gold) for path in files.values()],
            }
            out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")  # a round takes long: keep it
    click.echo(table(result))


def describe(
    path: Path,
    told: Mapping[Job, Sequence[dict[str, Any]]],
    logits: Mapping[Job, NDArray[np.float32]],
    reference: str,
    gold: NDArray[np.int64],
) -> dict[str, Any]:
    """One layout: its file, what it is in each runtime, and how far apart it is in the two."""
    expected = logits[reference, RUNTIMES[0]]
    return {
        "layout": path.stem,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "runtimes": {
            name: summary(told[path.stem, name], logits.get((path.stem, name)), expected, gold) for name in RUNTIMES
        },
        "between_runtimes": between(*(logits.get((path.stem, name)) for name in RUNTIMES)),
    }


def write_inputs(checkpoint: str, data: Path, path: Path) -> NDArray[np.int64]:
    """Write the texts of ``data`` as the worker wants them, and return their classes int64 ``[n]``."""
    loaded = load_checkpoint(checkpoint)
    tokenizer = TextTokenizer(loaded.tokenizer_json, max_length=BUCKETS[-1])
    with data.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    ids = np.full((len(rows), BUCKETS[-1]), loaded.pad_id, np.int32)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        [window] = tokenizer.encode(row["sentence"])
        ids[place, : len(window.input_ids)], mask[place, : len(window.input_ids)] = window.input_ids, 1
    bucket = np.array(BUCKETS)[np.searchsorted(BUCKETS, mask.sum(axis=1))]
    np.savez(path, input_ids=ids, attention_mask=mask, bucket=bucket)
    return np.array([int(row["label"]) for row in rows])


def ask(python: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What the worker says, or why it failed."""
    done = subprocess.run([python, str(WORKER), *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def summary(
    rounds: Sequence[dict[str, Any]],
    logits: NDArray[np.float32] | None,
    reference: NDArray[np.float32],
    gold: NDArray[np.int64],
) -> dict[str, Any]:
    """One layout in one runtime. ``p50_ms`` is wall time; ``cpu_p50_ms``, of all threads, bears other work."""
    if logits is None:
        return {"failed": rounds[0]["failed"]}
    decided = logits.argmax(axis=1)
    return {
        **{key: rounds[0][key] for key in ("version", "delegated_parts")},
        "labels_as_reference": int((decided == reference.argmax(axis=1)).sum()),
        "max_abs_diff_from_reference": float(np.abs(logits - reference).max()),
        "accuracy": float((decided == gold).mean()),
        "peak_rss_bytes": max(one["peak_rss_bytes"] for one in rounds),
        **{key: medians([one[key] for one in rounds]) for key in ("p50_ms", "cpu_p50_ms")},
    }


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Per length, the median of the rounds and the rounds."""
    return {
        length: {"median": float(np.median(values)), "rounds": values}
        for length in rounds[0]
        for values in [[one[length] for one in rounds]]
    }


def between(new: NDArray[np.float32] | None, old: NDArray[np.float32] | None) -> dict[str, float] | None:
    """How far one file's answers in the two runtimes are apart."""
    if new is None or old is None:
        return None
    return {
        "labels_that_differ": int((new.argmax(axis=1) != old.argmax(axis=1)).sum()),
        "max_abs_diff": float(np.abs(new - old).max()),
    }


def table(result: dict[str, Any]) -> str:
    """The figures for people: a line per layout and runtime."""
    lines = ["layout runtime labels accuracy differ cpu_p50_ms(16,32,64,128) rss_MB file_MB"]
    for one in result["layouts"]:
        for name, told in one["runtimes"].items():
            if "failed" in told:
                lines.append(f"{one['layout']} {name} failed: {told['failed']}")
                continue
            times = " ".join(f"{value['median']:.1f}" for value in told["cpu_p50_ms"].values())
            differ = one["between_runtimes"]["labels_that_differ"] if one["between_runtimes"] else "-"
            lines.append(
                f"{one['layout']} {name} {told['labels_as_reference']} {told['accuracy']:.4f} {differ} {times} "
                f"{told['peak_rss_bytes'] / 1e6:.0f} {one['bytes'] / 1e6:.1f}"
            )
    return "\n".join(lines)


def sha256(path: Path) -> str:
    """The file's digest in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
