"""``edgebert demo``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from edgebert.cli import options
from edgebert.cli.evidence import show_report
from edgebert.cli.progress import progress

_TEXTS = (
    "A charming and often affecting journey.",
    "It is dull, slow and far too long.",
    "A moving story, and a wonderful cast.",
)
_REPETITIONS = 20


@click.command("demo")
@click.option("-o", "--out", type=options.PATH, help="Keep the bundle here.  [default: a temporary folder]")
def command(out: Path | None) -> None:
    """Run the main job on the embedded model: convert for every target, show the evidence, predict, benchmark."""
    from edgebert.assets import default_checkpoint
    from edgebert.bench import run_benchmark
    from edgebert.convert.pipeline import convert
    from edgebert.convert.target import list_targets
    from edgebert.runtime import load

    targets = [target.name for target in list_targets()]
    with tempfile.TemporaryDirectory() as scratch:
        bundle = out or Path(scratch) / "demo.edgebert"
        click.echo(f"$ edgebert convert <embedded checkpoint> -o {bundle.name} --target {' --target '.join(targets)}\n")
        with progress(hidden=False) as shown:
            report = convert(
                str(default_checkpoint()),
                bundle,
                targets=targets,
                overwrite=out is not None,
                command=["edgebert", *sys.argv[1:]],
                progress=shown,
            )
        click.echo(show_report(report))
        click.echo(f"\n$ edgebert predict {bundle.name} --explain ...\n")
        with load(bundle) as model:
            click.echo(str(model.explain()) + "\n")
            for text, result in zip(_TEXTS, model(list(_TEXTS)), strict=True):
                click.echo(f"{result['label']}  {result['score']:.4f}  {text}")
        click.echo(f"\n$ edgebert bench {bundle.name}\n")
        click.echo(run_benchmark(bundle, lengths=(16, 64), repetitions=_REPETITIONS, rounds=2).table())
    if out is not None:
        click.echo(f"\nThe bundle is {out}; its evidence, for people, is {out / 'evidence.html'}.")
