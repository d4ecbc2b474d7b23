"""``edgebert tune``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from edgebert.cli import options


@click.command("tune")
@click.argument("bundle", type=options.PATH)
@click.option(
    "--budget",
    callback=options.seconds,
    default="60s",
    show_default=True,
    metavar="TIME",
    help="Time that it may take.",
)
@click.option(
    "--objective", type=click.Choice(["latency", "throughput", "memory", "energy"]), default="latency",
    show_default=True, help="What is to be best.",
)  # fmt: skip
@click.option("--texts", type=options.PATH, metavar="FILE", help="Texts like those to be served, one a line.")
@click.option(
    "--threads", type=click.IntRange(1), multiple=True, metavar="N",
    help="Try this number of threads. May be repeated.  [default: powers of two up to the physical cores]",
)  # fmt: skip
@click.option("--show", is_flag=True, help="Print the ranking that is kept of BUNDLE, and measure nothing.")
@click.option("--forget", is_flag=True, help="Remove what is kept of BUNDLE, and measure nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
@options.as_json
def command(
    bundle: Path,
    budget: float,
    objective: str,
    texts: Path | None,
    threads: tuple[int, ...],
    *,
    show: bool,
    forget: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure which artifact of BUNDLE, with how many threads, is best on this machine, and remember it.

    edgebert.load and `edgebert predict` then run it so. What is kept holds for this very bundle, device and software.
    """
    if show and forget:
        raise click.UsageError("--show and --forget exclude each other.")
    if show:
        _show(bundle, as_json=as_json)
    elif forget:
        _forget(bundle, as_json=as_json)
    else:
        from edgebert.bench import read_texts
        from edgebert.bench.tuning import tune

        report = tune(
            bundle,
            budget=budget,
            objective=objective,
            texts=read_texts(texts) if texts else None,
            threads=threads or None,
            progress=None if quiet else lambda line: click.echo(line, err=True),
        )
        click.echo(report.to_json() if as_json else report.table())


def _show(path: Path, *, as_json: bool) -> None:
    from edgebert.bench.tuning import render
    from edgebert.bundle import open_bundle
    from edgebert.devices import describe_machine, find_runtimes
    from edgebert.runtime.ranking_store import find_ranking

    bundle = open_bundle(path)
    found = find_ranking(bundle, describe_machine(), find_runtimes())
    if as_json:
        ranking = None if found.ranking is None else dataclasses.asdict(found.ranking)
        click.echo(json.dumps({"ranking": ranking, "stale": found.stale, "fault": found.fault}, indent=1))
    elif found.ranking is not None:
        click.echo(f"{bundle.manifest.name}: {render(found.ranking)}")
    else:
        why = found.fault or found.stale
        click.echo(f"{bundle.manifest.name}: no ranking for this device and software" + (f"; {why}" if why else ""))


def _forget(path: Path, *, as_json: bool) -> None:
    from edgebert.bundle import open_bundle
    from edgebert.runtime.ranking_store import forget_rankings

    bundle = open_bundle(path)
    count = forget_rankings(bundle)
    said = f"{bundle.manifest.name}: {count} ranking{'s' if count != 1 else ''} removed"
    click.echo(json.dumps({"removed": count}) if as_json else said)
