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
    "--precision", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="SHARE",
    help="Make rounds until every p50 is sure to within this share of it, such as 0.02, or the budget ends.",
)  # fmt: skip
@click.option(
    "--budget", callback=options.seconds, metavar="TIME",
    help="Begin no round that would end later, such as 90s, 30m, 2h.  [default: 10m with --precision]",
)  # fmt: skip
@click.option(
    "--threads", type=click.IntRange(1), metavar="N", help="Compute threads.  [default: one per physical core]"
)
@click.option("--texts", type=options.PATH, metavar="FILE", help="Texts to measure throughput on, one a line.")
@click.option(
    "--eval", "evaluation", type=options.PATH, metavar="FILE",
    help="Right answers, to score every artifact with, as for `edgebert convert`.",
)  # fmt: skip
@click.option("--battery", is_flag=True, help="Measure energy by the battery, where nothing better does. Takes long.")
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
    precision: float | None,
    budget: float | None,
    threads: int | None,
    texts: Path | None,
    evaluation: Path | None,
    battery: bool,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure every artifact of BUNDLE that this machine can run, each in a process of its own.

    Start-up, latency per length, throughput, memory, energy, heat, accuracy; what really ran, and how sure it all is.
    """
    from edgebert.bench import read_texts, run_benchmark
    from edgebert.bundle import output_error
    from edgebert.cli.bench_progress import bench_progress

    if out is not None:
        _check_writable(out)
    with bench_progress(hidden=quiet) as shown:
        report = run_benchmark(
            bundle,
            artifacts=artifacts or None,
            lengths=lengths,
            repetitions=repetitions,
            rounds=rounds,
            precision=precision,
            budget=budget,
            threads=threads,
            texts=read_texts(texts) if texts else None,
            evaluation=evaluation,
            battery=battery,
            seed=seed,
            progress=None if shown is None else shown.step,
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
