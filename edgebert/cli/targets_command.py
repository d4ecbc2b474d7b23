"""``edgebert targets``."""

from __future__ import annotations

import dataclasses
import json

import click

from edgebert.cli import options
from edgebert.cli.tables import table


@click.command("targets")
@click.argument("name", required=False)
@options.as_json
def command(name: str | None, as_json: bool) -> None:
    """List the device families that come with EdgeBERT, or show one (by NAME, or by the path of a folder)."""
    from edgebert.convert.target import list_targets, load_target

    if name is None:
        targets = list_targets()
        if as_json:
            click.echo(json.dumps([dataclasses.asdict(target) for target in targets], indent=1))
            return
        rows = [[t.name, ", ".join(spec.id for spec in t.artifacts), t.title] for t in targets]
        click.echo(table(["target", "artifacts, best first", "devices"], rows))
        return
    target = load_target(name)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(target), indent=1))
        return
    device = target.device
    click.echo(f"{target.name}: {target.title}")
    click.echo(f"  architectures: {', '.join(device.architectures)}")
    accelerator = [device.accelerator] if device.accelerator else []
    click.echo(f"  must have: {', '.join([*device.isa, f'{device.memory_mb} MB of memory', *accelerator])}")
    click.echo(f"  artifacts, best first: {', '.join(spec.id for spec in target.artifacts)}")
    if target.buckets:
        click.echo(f"  buckets: {', '.join(map(str, target.buckets))} tokens")
    click.echo(f"  threads: {target.threads or 'one per physical core'}")
    for precision, limits in target.gates.items():
        most = limits.max_logit_difference
        click.echo(
            f"  gate for {precision}: agreement >= {limits.min_label_agreement:g}, "
            f"metric drop <= {limits.max_metric_drop:g}"
            + (f", output difference <= {most:g} of the largest" if most is not None else "")
        )
    click.echo("  on the device:")
    for line in target.install:
        click.echo(f"    {line}")
