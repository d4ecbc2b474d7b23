#!/usr/bin/env python3
"""Measure the TensorRT plans of a bundle on this machine's GPU, and ONNX Runtime on its CPU.

    python benchmarks/gpu.py gpu.edgebert

Needs EdgeBERT, TensorRT and ONNX Runtime; `benchmarks/README.md` says which bundle, what is measured, and how to read
it. Plans are built for it, in a folder of its own. Exit status: 0 when every limit is held, 4 when one is not, 1 when
something is wrong.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from edgebert import __version__
from edgebert.bundle import open_bundle, output_error
from edgebert.cli.tables import table
from edgebert.devices import describe_machine, find_runtimes
from edgebert.devices.gpu import find_gpus
from edgebert.devices.processes import describe_exit
from edgebert.errors import EdgebertError
from edgebert.runtime.plans.folder import VARIABLE
from edgebert.runtime.selection import Candidate, rank

FORMAT = "edgebert-gpu/1"
RATIO_LIMIT = 1.15
"""The median of one inference, over the least that TensorRT alone takes for it."""
START_LIMIT_S = 2.0
"""From the start of a process to its first answer, with the plan there."""
STARTS = 3
EXIT_MISSED = 4
RESULTS = Path(__file__).with_name("results")
WORKER = Path(__file__).with_name("gpu_worker.py")


class _Child:
    """Processes that share a plan cache."""

    def __init__(self, plans: str) -> None:
        self._environment = {**os.environ, VARIABLE: plans}

    def build(self, bundle: Path, artifact: str) -> dict[str, Any]:
        """What ``edgebert build-plan`` tells."""
        command = ["-m", "edgebert", "build-plan", str(bundle), "--artifact", artifact, "--json", "--quiet"]
        [told] = json.loads(self._run(command, ""))
        return dict(told)

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """What a worker tells."""
        return dict(json.loads(self._run([str(WORKER)], json.dumps(job))))

    def _run(self, command: list[str], stdin: str) -> str:
        # The folder of the package first: a script's own folder would be, else.
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**self._environment, "PYTHONPATH": path}
        done = subprocess.run([sys.executable, *command], input=stdin, capture_output=True, text=True, env=environment)
        if done.returncode:
            end = "\n".join(done.stderr.splitlines()[-5:])
            raise click.ClickException(f"{' '.join(command[-5:])}: {describe_exit(done.returncode)}: {end}")
        return done.stdout


def measure(child: _Child, bundle: Path, candidate: Candidate, settings: dict[str, Any]) -> dict[str, Any]:
    """Everything of one artifact."""
    artifact = candidate.artifact
    job = {"bundle": str(bundle), "artifact": artifact.id, **settings}
    told: dict[str, Any] = {"backend": artifact.backend, "precision": artifact.precision}
    if artifact.backend == "tensorrt":
        click.echo(f"{artifact.id}: building", err=True)
        told["build"] = child.build(bundle, artifact.id)
    click.echo(f"{artifact.id}: measuring", err=True)
    told |= child.ask({"what": "steady", **job})
    told["first_answer_s"] = []
    for _ in range(STARTS):
        begin = time.monotonic()
        told["first_answer_s"].append(child.ask({"what": "start", **job})["at"] - begin)
    return told


def judge(artifacts: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Whether each limit is held."""
    verdicts = []
    for name, told in artifacts.items():
        if told["backend"] != "tensorrt":
            continue
        for length, one in told["lengths"].items():
            ratio = statistics.median(one["ratios"])
            best = min(value for value in (one["enqueue_ms"], one["graph_ms"]) if value is not None)
            text = (
                f"{name} at {length} tokens: p50 {one['p50_ms']:.3f} ms is {ratio:.2f} of TensorRT alone "
                f"({best:.3f} ms; {min(one['ratios']):.2f} to {max(one['ratios']):.2f}), limit {RATIO_LIMIT}"
            )
            verdicts.append({"held": ratio <= RATIO_LIMIT, "text": text})
        start = statistics.median(told["first_answer_s"])
        text = f"{name}: cache-hit start, process to first answer: {start:.2f} s, limit {START_LIMIT_S:g} s"
        verdicts.append({"held": start < START_LIMIT_S, "text": text})
    return verdicts


def show(report: dict[str, Any]) -> str:
    """The figures as tables."""
    latency, whole = [], []
    for name, told in report["artifacts"].items():
        for length, one in told["lengths"].items():
            answer = told["answer_ms"][length]
            alone = [one.get("enqueue_ms"), one.get("graph_ms")]
            ratio = f"{statistics.median(one['ratios']):.2f}" if "ratios" in one else "-"
            shown = [one["p50_ms"], one["p95_ms"], *alone]
            latency.append([name, length, *map(_ms, shown), ratio, _ms(answer["p50"]), _ms(answer["p95"])])
        threads = [f"{value:.1f}" for value in told["texts_per_second"].values()]
        memory = told["gpu_memory_bytes"]
        build = told.get("build")
        whole.append(
            [
                name,
                f"{build['seconds']:.1f}" if build else "-",
                f"{build['bytes'] / 1e6:.1f}" if build else "-",
                f"{statistics.median(told['first_answer_s']):.2f}",
                *threads,
                "-" if memory is None else f"{memory / 1e6:.0f}",
            ]
        )
    counts = [f"{count} thr." for count in next(iter(report["artifacts"].values()))["texts_per_second"]]
    header = ["artifact", "tokens", "p50", "p95", "enqueue", "graph", "ratio", "text p50", "text p95"]
    return "\n\n".join(
        [
            "Milliseconds: a run from host arrays to host arrays; TensorRT alone, launched and as a CUDA graph, and\n"
            "the ratio of the first to the lesser of these; from a text to its answer.\n" + table(header, latency),
            "Build in s, plan in MB, first answer after the start of a process in s, texts/s, GPU memory in MB.\n"
            + table(["artifact", "build", "plan", "first", *counts, "memory"], whole),
        ]
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def clocks() -> dict[str, str]:
    """The GPU's clocks, power and temperature, as far as this machine tells of them."""
    names = "clocks.sm,clocks.mem,clocks.max.sm,power.draw,power.limit,temperature.gpu"
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", f"--query-gpu={names}", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, check=False)
        values = done.stdout.partition("\n")[0].split(", ")
        if done.returncode == 0 and len(values) == len(names.split(",")):
            return dict(zip(names.split(","), values, strict=True))
    told = {}
    for folder in Path("/sys/class/devfreq").glob("*gpu*"):  # a Jetson
        for name in ("cur_freq", "min_freq", "max_freq"):
            if (folder / name).is_file():
                told[name] = (folder / name).read_text(encoding="ascii").strip()
    if shutil.which("nvpmodel"):
        done = subprocess.run(["nvpmodel", "-q"], capture_output=True, text=True, check=False)
        told["nvpmodel"] = " ".join(done.stdout.split())
    return told


def candidates(bundle: Path) -> list[Candidate]:
    """The TensorRT and ONNX artifacts that run here, in the bundle's order; says which do not."""
    manifest = open_bundle(bundle).manifest
    ranked = {one.artifact.id: one for one in rank(manifest, describe_machine(), find_runtimes())}
    able = []
    for artifact in manifest.artifacts:
        one = ranked[artifact.id]
        if artifact.backend not in ("tensorrt", "onnx"):
            continue
        if one.runtime is None:
            click.echo(f"{artifact.id} is left out: {one.reason}", err=True)
        else:
            able.append(one)
    if not any(one.artifact.backend == "tensorrt" for one in able):
        raise click.ClickException("No TensorRT artifact of this bundle runs here; `edgebert doctor` tells more.")
    return able


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--calls", type=click.IntRange(1), default=50, show_default=True, help="Timed calls per round.")
@click.option("--seconds", type=float, default=0.3, show_default=True, help="Most time for the calls of a round.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="[default: benchmarks/results/gpu-GPU-TRT.json]",
)
def main(bundle: Path, rounds: int, calls: int, seconds: float, out: Path | None) -> None:
    """Measure the TensorRT and ONNX artifacts of BUNDLE, and compare them with the limits."""
    bundle = bundle.absolute()
    try:
        able = candidates(bundle)
        manifest = open_bundle(bundle).manifest
    except EdgebertError as error:
        raise click.ClickException(str(error)) from error
    lengths = next(one.artifact.shapes.buckets for one in able if one.artifact.backend == "tensorrt")
    settings = {"lengths": lengths, "rounds": rounds, "calls": calls, "seconds": seconds}
    gpus = find_gpus()
    report: dict[str, Any] = {
        "format": FORMAT,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "bundle": manifest.name,
        "bundle_digest": open_bundle(bundle).digest,
        "machine": {**dataclasses.asdict(describe_machine()), "gpu": dataclasses.asdict(gpus)},
        "versions": {"edgebert": __version__, "python": platform.python_version(), "system": platform.platform()},
        "settings": settings,
        "clocks_before": clocks(),
        "artifacts": {},
    }
    with tempfile.TemporaryDirectory(prefix="edgebert-gpu-") as plans:
        child = _Child(plans)
        for one in able:
            report["artifacts"][one.artifact.id] = measure(child, bundle, one, settings)
    report["clocks_after"] = clocks()
    report["verdicts"] = judge(report["artifacts"])
    facts = next(told["facts"] for told in report["artifacts"].values() if told["backend"] == "tensorrt")
    gpu, tensorrt = gpus.gpus[0].name, facts["version"]
    click.echo(f"{manifest.name} on {gpu}, TensorRT {tensorrt}, CUDA {facts['details']['CUDA']}\n")
    click.echo(show(report) + "\n")
    for verdict in report["verdicts"]:
        click.echo(f"{'held  ' if verdict['held'] else 'MISSED'}  {verdict['text']}")
    name = re.sub(r"[^a-z0-9.]+", "-", f"gpu-{gpu}-{tensorrt}".lower()).strip("-")
    path = out or RESULTS / f"{name}.json"
    try:
        path.write_text(json.dumps(report, indent=1, default=sorted) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(str(output_error(error, path))) from error
    click.echo(f"\nWrote {path}.")
    sys.exit(0 if all(verdict["held"] for verdict in report["verdicts"]) else EXIT_MISSED)


if __name__ == "__main__":
    main()
