"""``edgebert bench``."""

from __future__ import annotations

from pathlib import Path

import click

from edgebert.cli import bench_reports, options


@click.command("bench")
@click.argument("bundle", type=options.PATH, required=False)
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
@bench_reports.report_options
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    bundle: Path | None,
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
    html: Path | None,
    trackers: tuple[str, ...],
    source: Path | None,
    compared: tuple[Path, Path] | None,
    anyway: bool,
    margin: float,
    as_json: bool,
) -> None:
    """Measure every artifact of BUNDLE that this machine can run, each in a process of its own.

    Start-up, latency per length, throughput, memory, energy, heat, accuracy; what really ran, and how sure it all is.
    With --from the report of an earlier run is shown, or logged; with --compare two are compared, and the exit code is
    3 when something is worse.
    """
    bench_reports.check_use(ctx, bundle=bundle, source=source, compared=compared)
    bench_reports.check_outputs((out, html), trackers)
    if compared is not None:
        bench_reports.compare_files(compared, anyway=anyway, margin=margin, as_json=as_json, out=out, quiet=quiet)
        return
    if source is not None:
        report = bench_reports.read(source, bundle)
        bench_reports.show(
            report, bundle, as_json=as_json, out=out, html=html, trackers=trackers, source=source, quiet=quiet
        )
        return
    assert bundle is not None
    from edgebert.bench import read_texts, run_benchmark
    from edgebert.cli.bench_progress import bench_progress

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
    # Progress alone is what --quiet leaves out of a measurement.
    bench_reports.show(report, bundle, as_json=as_json, out=out, html=html, trackers=trackers, source=None, quiet=False)
