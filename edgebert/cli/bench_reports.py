"""What ``edgebert bench`` does with reports, whether just measured or read: its options, and what they call."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from edgebert.cli import options
from edgebert.errors import OutputError

if TYPE_CHECKING:
    from edgebert.bench import BenchmarkReport

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_REGRESSION = 3
"""A figure is worse than it was. Like the gate's: what was measured is not good enough."""

_COMPARING = {"compared", "anyway", "margin", "as_json", "out", "quiet"}
_READING = {"bundle", "source", "html", "trackers", "as_json", "out", "quiet"}


def report_options(command: Command) -> Command:
    """``--html``, ``--log-to``, ``--from``, ``--compare``, ``--anyway``, ``--margin``."""
    for option in (
        click.option(
            "--margin", type=click.FloatRange(0, 1), default=0.05, show_default=True, metavar="X",
            help="With --compare: the smallest change that counts.",
        ),
        click.option("--anyway", is_flag=True, help="With --compare: go on although the runs are not comparable."),
        click.option(
            "--compare", "compared", type=options.PATH, nargs=2, default=None, metavar="BEFORE AFTER",
            help="Measure nothing: tell what is worse in the JSON file AFTER than in BEFORE.",
        ),
        click.option(
            "--from", "source", type=options.PATH, metavar="FILE",
            help="Measure nothing: take the report from this JSON file.",
        ),
        click.option(
            "--log-to", "trackers", type=click.Choice(("wandb", "mlflow")), multiple=True,
            help="Log the report, its page and the bundle's evidence there. May be repeated.",
        ),
        click.option("--html", type=options.PATH, metavar="FILE", help="Write a page with plots to this file."),
    ):  # fmt: skip
        command = option(command)
    return command


def check_use(ctx: click.Context, *, bundle: Path | None, source: Path | None, compared: object) -> None:
    """Refuse options that have no meaning together, and a command line with nothing to do."""
    if compared is not None:
        _refuse_others(ctx, _COMPARING, "--compare")
        return
    for name in ("anyway", "margin"):
        if _given(ctx, name):
            raise click.UsageError(f"--{name} needs --compare.")
    if source is not None:
        _refuse_others(ctx, _READING, "--from")
    elif bundle is None:
        raise click.UsageError("Missing argument 'BUNDLE'.")


def compare_files(
    paths: tuple[Path, Path], *, anyway: bool, margin: float, as_json: bool, out: Path | None, quiet: bool
) -> None:
    """Show what changed between two reports.

    Raises:
        click.exceptions.Exit: something is worse.
    """
    from edgebert.bench.comparison import compare
    from edgebert.bench.reading import read_report

    before, after = (read_report(path) for path in paths)
    comparison = compare(before, after, anyway=anyway, margin=margin)
    if as_json:
        click.echo(comparison.to_json().decode())
    elif not quiet:
        click.echo(comparison.table())
    if out is not None:
        write(out, comparison.to_json())
    if comparison.regressed:
        raise click.exceptions.Exit(EXIT_REGRESSION)


def read(source: Path, bundle: Path | None) -> BenchmarkReport:
    """The report of a file, which must be one of the bundle's where that is given."""
    from edgebert.bench.reading import read_report
    from edgebert.bundle import open_bundle
    from edgebert.errors import DataError

    report = read_report(source)
    if bundle is not None and open_bundle(bundle).digest != report.bundle_digest:
        raise DataError(
            f"'{source}' is not of the bundle '{bundle}': it was measured on one with the digest "
            f"{report.bundle_digest[:12]}.",
            hint="Give the bundle that was measured, or none.",
        )
    return report


def check_outputs(paths: Sequence[Path | None], trackers: Sequence[str]) -> None:
    """Refuse before the measuring starts what cannot be written or logged after it."""
    from edgebert.bundle import output_error

    for path in paths:
        if path is None:
            continue
        try:
            if path.exists():
                path.open("ab").close()
            if _is_replaced(path):
                partial = _partial(path)
                partial.open("wb").close()
                partial.unlink()
        except OSError as error:
            raise output_error(error, path) from error
    if trackers:
        from edgebert.bench.tracking import open_tracker

        for name in trackers:
            open_tracker(name)


def show(
    report: BenchmarkReport, bundle: Path | None, *, as_json: bool, out: Path | None, html: Path | None,
    trackers: Sequence[str], source: Path | None, quiet: bool,
) -> None:  # fmt: skip
    """Write, print and log a report; in this order, so that what fails last costs least."""
    if out is not None:
        write(out, report.to_json())
    if html is not None:
        from edgebert.bench.pages import to_html

        write(html, to_html(report).encode())
    if as_json:
        click.echo(report.to_json().decode())
    elif not quiet:
        click.echo(report.table())
    if trackers:
        from edgebert.bench.tracking import make_record, open_tracker
        from edgebert.bundle import open_bundle

        record = make_record(report, open_bundle(bundle) if bundle is not None else None)
        for name in trackers:
            try:
                place = open_tracker(name).log(record)
            except OutputError as error:
                kept = source or out or _keep(report)
                again = f"edgebert bench --from {shlex.quote(str(kept))} --log-to {name}"
                raise OutputError(error.message, hint=f"The report is in '{kept}'. Log it again: {again}") from error
            click.echo(f"Logged to {name}: {place}", err=True)


def _keep(report: BenchmarkReport) -> Path:
    """Save a report that would else be lost, after minutes of measuring, beside where the command runs."""
    path = Path(f"benchmark-{report.created.replace(':', '')}.json")
    write(path, report.to_json())
    return path


def write(path: Path, content: bytes) -> None:
    """Write a file whole, or leave what was there."""
    from edgebert.bundle import output_error

    try:
        if not _is_replaced(path):
            path.write_bytes(content)
            return
        partial = _partial(path)
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(error, path, needed=len(content)) from error


def _is_replaced(path: Path) -> bool:
    """Whether a new file takes the path's place; a pipe or a device is written into."""
    return path.is_file() or not path.exists()


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _refuse_others(ctx: click.Context, allowed: set[str], name: str) -> None:
    for parameter in ctx.command.params:
        if parameter.name not in allowed and parameter.name is not None and _given(ctx, parameter.name):
            shown = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.name.upper()
            raise click.UsageError(f"{shown} has no meaning with {name}.")


def _given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
