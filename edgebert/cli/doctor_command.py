"""``edgebert doctor``."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from edgebert.cli import options

if TYPE_CHECKING:
    from edgebert.devices.gpu import GpuReport


@click.command("doctor")
@options.as_json
def command(as_json: bool) -> None:
    """Tell what this machine is, which backends it has, and what is missing.

    The exit code is 1 when no backend is usable.
    """
    from edgebert.devices.doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        data = {"usable": diagnosis.usable, **dataclasses.asdict(diagnosis)}
        click.echo(json.dumps(data, indent=1, default=sorted))  # a set of ISA features is the only non-JSON value
    else:
        machine = diagnosis.machine
        click.echo(f"{machine.system} on {machine.architecture}, {machine.model or 'unknown CPU'}")
        click.echo(f"  instruction set: {', '.join(sorted(machine.isa)) or 'unknown'}")
        click.echo(f"  cores: {machine.physical_cores} ({machine.logical_cores} threads)")
        click.echo(f"  memory: {machine.available_bytes / 1e9:.1f} of {machine.memory_bytes / 1e9:.1f} GB available")
        if diagnosis.gpus is not None:
            _show_gpus(diagnosis.gpus)
        click.echo("\nbackends:")
        for runtime in diagnosis.runtimes:
            state = runtime.version if runtime.problem is None else f"not usable: {runtime.problem}"
            click.echo(f"  {runtime.backend}: {runtime.distribution} {state}")
            if runtime.problem is not None:
                click.echo(f"      {runtime.install}")
        for title, entries in (
            ("problems", [f"{p.what}: {p.why}\n      {p.fix}" for p in diagnosis.problems]),
            ("good to know", list(diagnosis.notes)),
        ):
            if entries:
                click.echo(f"\n{title}:")
                for entry in entries:
                    click.echo(f"  {entry}")
    if not diagnosis.usable:
        raise click.exceptions.Exit(1)


def _show_gpus(gpus: GpuReport) -> None:
    if gpus.jetson is not None:
        jetpack = f" (JetPack {gpus.jetson.jetpack})" if gpus.jetson.jetpack else ""
        release = f", L4T {gpus.jetson.l4t}{jetpack}" if gpus.jetson.l4t else ""
        click.echo(f"  Jetson: {gpus.jetson.module or 'unknown module'}{release}")
    click.echo(f"  NVIDIA driver: {gpus.release or 'unknown release'}, CUDA {gpus.cuda or 'unknown'}")
    if gpus.problem is not None:
        click.echo(f"      no GPU: {gpus.problem}")
    for gpu in gpus.gpus:
        major, minor = gpu.compute_capability
        shared = " shared with the CPU" if gpu.integrated else ""
        click.echo(f"  GPU: {gpu.name}, compute capability {major}.{minor}, {gpu.memory_bytes / 1e9:.1f} GB{shared}")
