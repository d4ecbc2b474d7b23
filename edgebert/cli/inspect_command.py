"""``edgebert inspect``."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebert.cli import options
from edgebert.cli.tables import megabytes, table

if TYPE_CHECKING:
    from edgebert.bundle import TensorSpec
    from edgebert.runtime.operators import Listing

_SHOWN = 8
"""How many labels are shown; the rest is counted."""


@click.command("inspect")
@click.argument("bundle", type=options.PATH)
@click.option(
    "--ops", is_flag=True,
    help="Run each artifact that runs here once, and show which operators its backend executes, and how.",
)  # fmt: skip
@click.option("--artifact", metavar="ID", help="With --ops: this artifact only, e.g. onnx-int8.")
@click.option(
    "--length", type=click.IntRange(1), metavar="N",
    help="With --ops: input length in tokens, or the next longer bucket.  [default: 32]",
)  # fmt: skip
@options.as_json
def command(bundle: Path, ops: bool, artifact: str | None, length: int | None, as_json: bool) -> None:
    """Show what BUNDLE holds, without running it unless --ops asks for it."""
    if not ops and (artifact is not None or length is not None):
        raise click.UsageError("--artifact and --length choose what --ops shows: give --ops as well.")
    if ops:
        _show_operators(bundle, artifact, length, as_json=as_json)
    else:
        _show_manifest(bundle, as_json=as_json)


def _show_manifest(bundle: Path, *, as_json: bool) -> None:
    from edgebert.bundle import open_bundle

    opened = open_bundle(bundle)
    manifest = opened.manifest
    if as_json:
        click.echo(json.dumps({"digest": opened.digest, **dataclasses.asdict(manifest)}, indent=1, ensure_ascii=False))
        return
    task = manifest.task
    labels = ", ".join(task.labels[:_SHOWN]) + (f", ... ({len(task.labels)})" if len(task.labels) > _SHOWN else "")
    problem = f" ({task.problem_type})" if task.problem_type else ""
    click.echo(f"{manifest.name}: {task.name}{problem}" + (f": {labels}" if labels else ""))
    if task.settings:
        click.echo("settings: " + ", ".join(f"{name} {json.dumps(value)}" for name, value in task.settings.items()))
    click.echo(f"from {manifest.provenance.checkpoint}, {manifest.provenance.created}, digest {opened.digest[:12]}")
    click.echo(f"inputs up to {manifest.tokenizer.max_length} tokens")
    cascade = manifest.cascade
    if cascade is not None:
        measured = cascade.headline
        click.echo(
            f"cascade: an answer of confidence below {cascade.threshold:.4g} comes from {bundle / cascade.bundle}; "
            f"{measured.metric} {measured.value:.4f}, of that one alone {measured.reference:.4f}, with "
            f"{measured.escalated:.1%} of {measured.texts:,} texts escalated"
        )
    click.echo(f"graph: {_tensors(manifest.inputs)} -> {_tensors(manifest.outputs)}\n")
    rows = []
    for artifact in manifest.artifacts:
        shapes, evidence = artifact.shapes, artifact.evidence
        score = "-" if evidence.value is None else f"{evidence.value:.4f}"
        rows.append(
            [
                artifact.id,
                megabytes(sum(file.size for file in artifact.files)),
                ",".join(map(str, shapes.buckets)) or f"any to {shapes.max_length}",
                " or ".join(f"{name}>={version}" for name, version in artifact.requires.runtimes.items()),
                score,
                f"{evidence.label_agreement:.4f}",
                f"{evidence.max_abs_diff:.2g}",
            ]
        )
    metric = next((a.evidence.metric for a in manifest.artifacts if a.evidence.metric), "metric")
    click.echo(table(["artifact", "MB", "lengths", "needs", metric, "agree", "max |diff|"], rows))
    click.echo("\nprecision:")
    for artifact in manifest.artifacts:
        click.echo(f"  {artifact.id}: {artifact.quantization}")
    click.echo("\ntargets, best artifact first:")
    for profile in manifest.profiles:
        click.echo(f"  {profile.target}: {', '.join(profile.order)}")


def _show_operators(bundle: Path, artifact: str | None, length: int | None, *, as_json: bool) -> None:
    from edgebert.errors import SelectionError
    from edgebert.runtime.explanation import CANNOT_RUN, FAILED, NO_PLAN
    from edgebert.runtime.operators import list_operators

    listings: list[Listing] = []
    for listing in list_operators(bundle, artifact=artifact, length=length):
        listings.append(listing)
        if not as_json:
            click.echo(("\n" if len(listings) > 1 else "") + _listing(listing))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(listing) for listing in listings], indent=1))
    if all(listing.status in (CANNOT_RUN, NO_PLAN) for listing in listings):
        raise SelectionError("Nothing that is asked for can run here.", hint="Run `edgebert doctor`.")
    if any(listing.status == FAILED for listing in listings):
        raise click.exceptions.Exit(1)


def _listing(listing: Listing) -> str:
    execution = listing.execution
    if execution is None:
        where = f" in {listing.runtime}" if listing.runtime else ""
        return f"{listing.artifact}: {listing.status}{where}: {listing.reason}"
    executors: Counter[str] = Counter()
    for one in execution.operators:
        executors[one.executed_by] += one.count
    by = ", ".join(f"{count} by {name}" for name, count in executors.most_common())
    lines = [
        f"{listing.artifact} in {listing.runtime} ({listing.details}), one text of {listing.length} tokens",
        table(
            ["count", "operator", "data types", "executed by"],
            [[str(one.count), one.type, one.precision, one.executed_by] for one in execution.operators],
        ),
        f"{executors.total()} operators: {by}",
    ]
    if execution.kernels:
        rows = [[str(one.count), one.name] for one in execution.kernels]
        lines.append(table(["count", "kernel, as the backend's profiler names it"], rows))
    if execution.untold:
        lines.append(f"not told: {execution.untold}")
    return "\n".join(lines)


def _tensors(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} [{', '.join(map(str, spec.shape))}]" for spec in specs)
