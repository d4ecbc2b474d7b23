"""``edgebert cascade``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebert.cli import options
from edgebert.cli.tables import table
from edgebert.errors import GateError

if TYPE_CHECKING:
    from edgebert.compress.cascade.report import CascadeReport


@click.command("cascade")
@click.argument("small", type=options.PATH)
@click.argument("big", type=options.PATH)
@click.option(
    "--eval", "evaluation", type=options.PATH, required=True, metavar="FILE",
    help="Texts with right answers: TSV, CSV or JSONL. One half is to fit on, the other to measure on.",
)  # fmt: skip
@click.option("-o", "--out", type=options.PATH, required=True, help="The bundle to write, e.g. sst2.edgebert.")
@click.option(
    "--max-drop", type=click.FloatRange(0, 1), default=0.003, show_default=True, metavar="X",
    help="The largest drop of accuracy against BIG alone.",
)  # fmt: skip
@click.option("--text-column", metavar="NAME", help="Column of the text.  [default: found]")
@click.option("--pair-column", metavar="NAME", help="Column of the second text of a pair.  [default: found]")
@click.option("--label-column", metavar="NAME", help="Column of the right answer.  [default: found]")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Use at most this many rows.  [default: all]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the two halves.")
@click.option("--overwrite", is_flag=True, help="Replace an older bundle.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@options.as_json
def command(
    small: Path,
    big: Path,
    evaluation: Path,
    out: Path,
    max_drop: float,
    text_column: str | None,
    pair_column: str | None,
    label_column: str | None,
    limit: int | None,
    seed: int,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make one bundle of two: SMALL answers what it is sure of, BIG the rest.

    Every pair of their artifacts is measured on the half of the texts that the rule was not fitted on. If one loses
    more than --max-drop there, nothing is written and the exit code is 3.
    """
    from edgebert.compress.cascade.pipeline import make_cascade
    from edgebert.compress.cascade.report import CascadeReport
    from edgebert.convert.evaluation.texts import EvalColumns

    started = time.monotonic()

    def progress(line: str) -> None:
        if not quiet:
            click.echo(f"[{time.monotonic() - started:5.0f} s] {line}", err=True)

    try:
        report = make_cascade(
            small,
            big,
            out,
            evaluation=evaluation,
            max_drop=max_drop,
            columns=EvalColumns(text_column, pair_column, label_column),
            limit=limit,
            seed=seed,
            overwrite=overwrite,
            command=["edgebert", *sys.argv[1:]],
            progress=progress,
        )
    except GateError as error:
        if isinstance(error.report, CascadeReport):
            _print(error.report, as_json=as_json, quiet=quiet)
        raise
    _print(report, as_json=as_json, quiet=quiet)
    if not quiet and not as_json:
        click.echo(f"\nWrote {out}. The evidence, for people: {out / 'cascade.html'}")


def _print(report: CascadeReport, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1, ensure_ascii=False))
    elif not quiet:
        click.echo(_show(report))


def _show(report: CascadeReport) -> str:
    rows = [
        [
            pair.small,
            pair.big,
            f"{pair.escalated:.1%}",
            f"{pair.accuracy:.4f}",
            f"{pair.big_accuracy:.4f}",
            f"{pair.small_accuracy:.4f}",
            f"{pair.drop:+.4f}",
            str(pair.lost),
            str(pair.gained),
        ]
        for pair in report.pairs
    ]
    header = ["small", "big", "escalated", "accuracy", "big alone", "small alone", "drop", "lost", "gained"]
    lines = [
        f"{report.name}: fitted on {report.fitted_on:,} texts, measured on {report.texts:,} others:",
        "",
        table(header, rows),
        "",
        f"confidence below {report.threshold:.4g} (temperature {report.temperature:.3g}) goes to the bigger bundle",
        f"standard error of the largest drop: {report.worst.drop_error / report.texts:.4f}",
    ]
    for role, absent in report.absent.items():
        lines += [f"not measured: {role} {name}: {reason}" for name, reason in absent.items()]
    return "\n".join(lines)
