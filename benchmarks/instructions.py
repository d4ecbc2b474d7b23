"""Counts the instructions that one inference takes on emulated 64-bit ARM CPUs. A count is no speed.

An artifact runs twice, for different numbers of inferences; the difference of the two counts, divided by that of the
numbers, is the count of one inference without loading. It needs Debian's tools (``tests/arm64/root.py``) and an
emulator with plugins, which distributions do not build: ``qemu-aarch64`` from qemu's source, configured with
``--target-list=aarch64-linux-user --enable-plugins``, and its ``tests/tcg/plugins/libinsn.so``. From the repository's
root::

    EDGEBERT_QEMU=build/qemu-aarch64 python -m benchmarks.instructions sst2.edgebert \\
        --plugin build/tests/tcg/plugins/libinsn.so -o counts.json
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click

from edgebert.bundle import open_bundle
from tests.arm64.cpus import PARTS
from tests.arm64.root import Board, build_board

FEWER, MORE = 1, 3
"""Inferences of the two runs. The first one of a process allocates, so that it must be in both."""

WORKER = """
import dataclasses, json, sys
from pathlib import Path
import numpy as np
from edgebert.bundle import open_bundle
from edgebert.devices import find_runtimes
from edgebert.runtime.engines import build_engine
path, name, tokens, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
manifest = open_bundle(path).manifest
artifact = manifest.artifact(name)
runtime = next(one for one in find_runtimes(artifact.backend) if one.problem is None)
# Not Bundle.file, which hashes: 265 MB under emulation take longer than all else.
engine = build_engine(artifact, [Path(path) / ref.path for ref in artifact.files], 1, runtime)
sizes = {"batch": 1, "positions": 1, "length": tokens}
inputs = {one.name: np.ones([sizes[size] for size in one.shape], np.int32) for one in manifest.inputs}
outputs = [engine.run(inputs) for _ in range(times)]
assert all(np.isfinite(values).all() for one in outputs for values in one.values())
print(json.dumps(dataclasses.asdict(engine.facts)))
"""


def count(board: Board, cpu: str, plugin: Path, bundle: Path, artifact: str, tokens: int, times: int) -> dict[str, Any]:
    """The instructions of a whole process that runs ``times`` inferences, and what ran them.

    Raises:
        click.ClickException: the process failed, or the plugin said nothing.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".log") as log:
        done = board.run(
            cpu,
            ["-c", WORKER, bundle, artifact, str(tokens), str(times)],
            emulator_options=["-plugin", f"{plugin},inline=on", "-d", "plugin", "-D", log.name],
        )
        said = re.search(r"^total insns: (\d+)$", log.read(), re.MULTILINE)
    if done.returncode != 0 or said is None:
        raise click.ClickException(f"{artifact} on {cpu} ended with {done.returncode}: {done.stderr[-1000:]}")
    return {"instructions": int(said[1]), "facts": json.loads(done.stdout.splitlines()[-1])}


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--plugin", required=True, type=click.Path(path_type=Path, exists=True), help="libinsn.so.")
@click.option("--cpu", "cpus", multiple=True, default=tuple(PARTS), show_default=True, help="Of the emulator's.")
@click.option("--artifact", "artifacts", multiple=True, help="[default: the bundle's TFLite and ONNX artifacts]")
@click.option("--tokens", default=32, show_default=True, help="The input's length; for TFLite a bucket.")
@click.option("--tflite-runtime", is_flag=True, help="tflite-runtime 2.14 in place of ai-edge-litert.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
def main(
    bundle: Path,
    plugin: Path,
    cpus: tuple[str, ...],
    artifacts: tuple[str, ...],
    tokens: int,
    tflite_runtime: bool,
    output: Path,
) -> None:
    """Count the instructions of one inference of each artifact of BUNDLE on each CPU, and write them as JSON."""
    emulator = os.environ.get("EDGEBERT_QEMU")
    if not emulator:
        raise click.UsageError("EDGEBERT_QEMU must name a qemu-aarch64 that was built with --enable-plugins.")
    bundle, plugin = bundle.absolute(), plugin.absolute()
    manifest = open_bundle(bundle).manifest
    names = artifacts or tuple(one.id for one in manifest.artifacts if one.backend in ("tflite", "onnx"))
    distributions = ("tflite-runtime==2.14.0", "numpy<2") if tflite_runtime else ()
    version = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    result: dict[str, Any] = {
        "what": "instructions of one inference under emulation; a count and no speed",
        "checkpoint": manifest.provenance.checkpoint.rstrip("/").rpartition("/")[2],
        "emulator": version,
        "tokens": tokens,
        "counts": [],
    }
    with tempfile.TemporaryDirectory() as scratch:
        board = build_board(Path(scratch), distributions=distributions)
        for name in names:
            for cpu in cpus:
                fewer, more = (count(board, cpu, plugin, bundle, name, tokens, times) for times in (FEWER, MORE))
                each = (more["instructions"] - fewer["instructions"]) / (MORE - FEWER)
                facts = more["facts"]
                row = {"artifact": name, "cpu": cpu, "instructions": round(each)}
                row |= {key: facts[key] for key in ("distribution", "version", "details")}
                result["counts"].append(row)
                click.echo(f"{name:12} {cpu:13} {facts['distribution']:15} {each / 1e6:8.1f} million")
                output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
