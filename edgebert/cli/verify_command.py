"""``edgebert verify``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from edgebert.cli import options

EXIT_FAILED = 4


@click.command("verify")
@click.argument("bundle", type=options.PATH)
@click.option(
    "--threads", type=click.IntRange(1), metavar="N", help="Compute threads.  [default: one per physical core]"
)
@options.as_json
def command(bundle: Path, threads: int | None, as_json: bool) -> None:
    """Check BUNDLE on this machine: every hash, then every golden answer of every artifact that runs here.

    The exit code is 4 when an artifact fails, and 1 when the bundle is damaged or nothing runs here.
    """
    from edgebert.errors import SelectionError
    from edgebert.runtime.explanation import CANNOT_RUN, FAILED, NO_PLAN
    from edgebert.runtime.verify import Verification, verify

    results: list[Verification] = []
    for result in verify(bundle, threads=threads):
        results.append(result)
        if not as_json:
            if len(results) == 1:
                click.echo("files: all hashes match")
            click.echo(_line(result))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(result) for result in results], indent=1))
    if all(result.status in (CANNOT_RUN, NO_PLAN) for result in results):
        raise SelectionError("No artifact of the bundle can run here.", hint="Run `edgebert doctor`.")
    if any(result.status == FAILED for result in results):
        raise click.exceptions.Exit(EXIT_FAILED)


def _line(result: object) -> str:
    from edgebert.runtime.verify import Verification

    assert isinstance(result, Verification)
    line = f"{result.artifact}: {result.status}"
    if result.runtime:
        line += f" in {result.runtime}"
    if result.max_abs_diff is not None:
        line += f", max |difference| {result.max_abs_diff:.2g} (tolerance {result.tolerance:.2g})"
    if result.reason:
        line += f": {result.reason}"
    return f"{line}\n  warning: slow here: {result.slowdown}" if result.slowdown else line
