"""``edgebert compress``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from edgebert.cli import options
from edgebert.cli.tables import table


@click.command("compress")
@click.argument("checkpoint")
@click.option("--search", is_flag=True, help="Try a grid of smaller checkpoints under a time budget. Must be given.")
@click.option(
    "--data", type=options.PATH, multiple=True, metavar="FILE",
    help="What to train on, and to take the vocabulary from, as for `edgebert distill`. May be repeated.",
)  # fmt: skip
@click.option(
    "--eval", "evaluation", type=options.PATH, metavar="FILE",
    help="Right answers, to score every point with, as for `edgebert convert`.",
)  # fmt: skip
@click.option("-o", "--out", type=options.PATH, required=True, help="The folder to make.")
@click.option(
    "--budget", callback=options.seconds, default="30m", show_default=True, metavar="TIME",
    help="Seconds, or as 90s, 30m, 2h.",
)  # fmt: skip
@click.option(
    "-t", "--target", default="x86-cpu", show_default=True, metavar="TARGET",
    help="The device family that every point is converted for, or the path of a folder with a target.toml.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the search in the folder, if there is one.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@options.as_json
def command(
    checkpoint: str,
    search: bool,
    data: tuple[Path, ...],
    evaluation: Path | None,
    out: Path,
    budget: float,
    target: str,
    resume: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find which smaller forms of CHECKPOINT give which size, accuracy and latency.

    CHECKPOINT is a DistilBERT, in a directory or on the Hugging Face hub. Each point of the grid is made by other
    verbs of this command, converted, and measured beside the checkpoint itself.
    """
    if not search:
        raise click.UsageError(
            "Give --search, which tries several steps; a single one is `edgebert trim-vocab`, `edgebert distill`, "
            "`edgebert prune` or `edgebert drop-layers`."
        )
    if not data or evaluation is None:
        raise click.UsageError(f"--search needs {'--eval' if data else '--data'} FILE as well.")
    from edgebert.compress.search import table as cells
    from edgebert.compress.search.report import PAGE_NAME
    from edgebert.compress.search.search import search as run

    started = time.monotonic()

    def progress(line: str) -> None:
        if not quiet:
            click.echo(f"[{time.monotonic() - started:5.0f} s] {line}", err=True)

    try:
        frontier = run(
            checkpoint,
            out,
            data=data,
            evaluation=evaluation,
            budget=budget,
            target=target,
            resume=resume,
            command=["edgebert", *sys.argv[1:]],
            progress=progress,
        )
    except KeyboardInterrupt:
        if out.is_dir():
            click.echo(f"What is finished is kept in '{out}': the same command with --resume goes on.", err=True)
        raise
    if as_json:
        click.echo(frontier.to_json().decode(), nl=False)
    elif not quiet:
        _show(cells.header(frontier), cells.rows(frontier))
        for remark in cells.remarks(frontier):
            click.echo(remark)
        click.echo(f"\nWrote {out}. The plots and the commands of each point: {out / PAGE_NAME}")


def _show(header: list[str], rows: list[list[str]]) -> None:
    if not sys.stdout.isatty():
        click.echo(table(header, rows))
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(*header, box=None, header_style="bold")
    for row in rows:
        shown.add_row(*row, style="bold" if row[-1] else "")
    Console().print(shown, markup=False)
