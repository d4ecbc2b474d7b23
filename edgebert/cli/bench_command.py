"""``edgebert bench``."""

from __future__ import annotations

from pathlib import Path

import click

from edgebert.cli import options


@click.command("bench")
@click.argument("bundle", type=options.PATH)
@click.option(
    "--artifact", "artifacts", multiple=True, metavar="ID", help="Measure this artifact only. May be repeated."
)
@click.option(
    "--length", "lengths", type=click.IntRange(2), multiple=True, metavar="N", default=(16, 32, 64, 128),
    show_default=True, help="Input length in tokens. May be repeated.",
)  # fmt: skip
@click.option(
    "--repetitions", type=click.IntRange(1), default=30, show_default=True, metavar="N",
    help="Timed calls per length and round.",
)  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, metavar="N", help="Processes per artifact."
)
@click.option(
    "--threads", type=click.IntRange(1), metavar="N", help="Compute threads.  [default: one per physical core]"
)
@click.option("--texts", type=options.PATH, metavar="FILE", help="Texts to measure throughput on, one a line.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order in which artifacts alternate.")
@click.option("-o", "--out", type=options.PATH, help="Write the JSON to this file as well.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
@options.as_json
def command(
    bundle: Path,
    artifacts: tuple[str, ...],
    lengths: tuple[int, ...],
    repetitions: int,
    rounds: int,
    threads: int | None,
    texts: Path | None,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure every artifact of BUNDLE that this machine can run, each in a process of its own.

    Load time, first answer, p50/p95/p99 latency per length, throughput, peak memory.
    """
    from edgebert.bench import read_texts, run_benchmark
    from edgebert.bundle import output_error

    if out is not None:
        _check_writable(out)
    report = run_benchmark(
        bundle,
        artifacts=artifacts or None,
        lengths=lengths,
        repetitions=repetitions,
        rounds=rounds,
        threads=threads,
        texts=read_texts(texts) if texts else None,
        seed=seed,
        progress=None if quiet else lambda step: click.echo(str(step), err=True),
    )
    click.echo(report.to_json().decode() if as_json else report.table())
    if out is not None:
        try:
            out.write_bytes(report.to_json())
        except OSError as error:
            raise output_error(error, out) from error


def _check_writable(out: Path) -> None:
    """Refuse before the measuring starts what cannot be written after it."""
    from edgebert.bundle import output_error

    existed = out.exists()
    try:
        out.open("ab").close()
        if not existed:
            out.unlink()
    except OSError as error:
        raise output_error(error, out) from error
