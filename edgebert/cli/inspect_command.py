"""``edgebert inspect``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from edgebert.cli import options
from edgebert.cli.tables import megabytes, table


@click.command("inspect")
@click.argument("bundle", type=options.PATH)
@options.as_json
def command(bundle: Path, as_json: bool) -> None:
    """Show what BUNDLE holds, without running it."""
    from edgebert.bundle import Manifest, open_bundle

    opened = open_bundle(bundle)
    manifest: Manifest = opened.manifest
    if as_json:
        click.echo(json.dumps({"digest": opened.digest, **dataclasses.asdict(manifest)}, indent=1, ensure_ascii=False))
        return
    labels = ", ".join(manifest.task.labels[:8]) + (", ..." if len(manifest.task.labels) > 8 else "")
    click.echo(f"{manifest.name}: {manifest.task.name} ({manifest.task.problem_type}): {labels}")
    click.echo(f"from {manifest.provenance.checkpoint}, {manifest.provenance.created}, digest {opened.digest[:12]}")
    click.echo(f"inputs up to {manifest.tokenizer.max_length} tokens\n")
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
