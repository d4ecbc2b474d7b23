"""``edgebert bench --html``: the whole report as one page without script or external resource."""

from __future__ import annotations

from collections.abc import Iterator

from edgebert.bench.pages import facts, numbers, tables
from edgebert.bench.pages.bars import MEMORY, START_UP, energy_plot, memory_plot, start_up_plot
from edgebert.bench.pages.distribution import distribution_plot
from edgebert.bench.pages.frontier import frontier_plot, points_of
from edgebert.bench.pages.heat import clock_plot, steps_of, temperature_plot
from edgebert.bench.pages.lengths import lengths_plot
from edgebert.bench.report import BenchmarkReport
from edgebert.pages import frame, series
from edgebert.pages.text import capitalized, escape

_STYLE = """
.warning{margin:1rem 0 0;padding:.2rem 1rem .6rem;border-left:.4rem solid var(--bad);background:var(--band)}
.warning h2{margin:.6rem 0 .3rem;color:var(--bad)}.warning ul{margin:0;padding-left:1.1rem}
svg .hill{fill:var(--band);stroke-width:1.1}svg .box{stroke-width:3.5}.tick{stroke:var(--soft)}
svg .round{fill:var(--soft);stroke:none}.course{stroke:var(--soft)}
svg .part{stroke:var(--ink);stroke-width:.8;fill:var(--ink)}.key{border:1px solid var(--ink);background:var(--ink)}
svg .part1{fill-opacity:.85}svg .part2{fill-opacity:.5}svg .part3{fill-opacity:.22}svg .part4{fill-opacity:0}
.key{display:inline-block;width:1.1em;height:.8em;margin:0 .3em 0 .8em;vertical-align:-.05em}
.key1{background:color-mix(in srgb,var(--ink) 85%,transparent)}
.key2{background:color-mix(in srgb,var(--ink) 50%,transparent)}
.key3{background:color-mix(in srgb,var(--ink) 22%,transparent)}.key4{background:none}
details{margin:.3rem 0}summary{cursor:pointer}
"""


def to_html(report: BenchmarkReport) -> str:
    """The report as one HTML page that needs nothing else.

    Args:
        report: what was measured; any artifact may lack figures, and figures may lack what the machine does not tell.

    Returns:
        The page, which encodes as UTF-8 whatever characters the report's names hold.
    """
    shown, costs = tables.columns(report), tables.costs(report)
    measured = any(artifact.measurements is not None for artifact in report.artifacts)
    body = [facts.warnings(report)]
    if measured:
        body += [
            "<h2>Artifacts</h2>",
            tables.summary(report, shown),
            frame.figures(_overview(report)),
            "<h2>How latencies are distributed</h2>",
            f"<p>{escape(_READING)}</p>",
            frame.figures(_distributions(report)),
            "<details><summary>Every percentile, in ms</summary>",
            tables.percentiles(report),
            "</details>",
            "<h2>What else it costs</h2>",
            tables.summary(report, costs),
            frame.figures(_costs(report)),
        ]
    body += [facts.absent(report), facts.untold(report), facts.executed(report)]
    if measured:
        body += [
            "<h2>What the columns say</h2>",
            frame.definitions((column.title, escape(column.meaning)) for column in [*shown, *costs]),
        ]
    body += [facts.protocol(report), facts.machine(report)]
    return frame.document(
        title=f"{report.bundle}: benchmark",
        heading=f"{report.bundle} on {report.machine.model or report.machine.architecture}",
        verdict=facts.verdict(report),
        body="\n".join(part for part in body if part),
        style=_STYLE,
        cards_below="68rem",
    )


_READING = (
    "The hill is the density of all samples, each hill as high as the others. Below it: a marker at p50, a thick line "
    "from p25 to p75, ticks at p5, p95 and (longer) p99, and a dot for the median of each round, which is a process of "
    "its own: where the dots lie apart, the machine changed. A number with an arrow counts samples beyond the end."
)


_TEXTS = "The texts"


def _overview(report: BenchmarkReport) -> Iterator[str]:
    kinds = [(a.backend, a.precision) for a in report.artifacts if a.measurements is not None]
    if plot := lengths_plot(report.artifacts):
        caption = (
            f"The bars are the intervals of the medians, {report.confidence:.0%} confidence, from how the rounds "
            f"differ; one without an end goes on beyond the frame. {series.legend(kinds)}"
        )
        yield frame.figure("Latency over length", plot, caption)
    points = points_of(report.artifacts)
    metric, off = _score(report) if all(point.quality is not None for point in points) else ("", None)
    if metric:
        title, caption = f"{capitalized(metric)}, latency and size", "Further up and further left is better. "
        caption += "The area of a marker is the size on disk. Filled: no other is better in all three."
        if off is not None and report.evaluation is not None:
            caption += f" {report.evaluation.count:,} inputs: for others like them a value may differ by {off:.3f}."
    else:
        title = "Size and latency"
        caption = "Further down and further left is better. Filled: no other is better in both. "
        caption += "Accuracy was not measured: give an evaluation file."
    yield frame.figure(title, frontier_plot(points, metric), caption)


def _score(report: BenchmarkReport) -> tuple[str, float | None]:
    """The name of the main metric, and how far one of its values may be off; an empty name without one."""
    scores = [
        artifact.measurements.accuracy.scores[0]
        for artifact in report.artifacts
        if artifact.measurements is not None and artifact.measurements.accuracy is not None
    ]
    widths = [(score.interval.high - score.interval.low) / 2 for score in scores if score.interval is not None]
    return numbers.metric(scores[0].metric) if scores else "", max(widths, default=None)


def _distributions(report: BenchmarkReport) -> Iterator[str]:
    measured = {a.id: a.measurements for a in report.artifacts if a.measurements is not None}
    backends = {a.id: a.backend for a in report.artifacts}
    panels = {
        f"{length} tokens": {name: m.latency_ms[length] for name, m in measured.items()}
        for length in report.plan.lengths
    }
    panels[_TEXTS] = {name: m.texts_latency_ms for name, m in measured.items()}
    for title, latencies in panels.items():
        plot = distribution_plot(latencies, backends, f"Distribution of latency: {title.lower()}")
        counts = {latency.count for latency in latencies.values()}
        samples = f"{min(counts):,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"
        caption = f"Batch 1; {samples} samples of each artifact."
        if title == _TEXTS:
            caption += " Texts differ in length, and so do their latencies."
        yield frame.figure(title, plot, caption)


def _costs(report: BenchmarkReport) -> Iterator[str]:
    if plot := start_up_plot(report.artifacts):
        caption = "Medians of the rounds, from the start of the process to its first answer."
        yield _keyed("Start-up", plot, caption, START_UP)
    if plot := memory_plot(report.artifacts):
        caption = (
            "At the end of a process: pages of files, which the system may drop; its own; and its peak beyond both."
        )
        yield _keyed("Memory", plot, caption, MEMORY)
    if plot := energy_plot(report.artifacts):
        yield frame.figure("Energy", plot, "Of one inference, batch 1: all that the meter's domains take meanwhile.")
    steps = steps_of(report)
    if plot := temperature_plot(steps):
        yield frame.figure("Temperature", plot, "The hottest sensor before and after each artifact of each round.")
    if plot := clock_plot(steps):
        yield frame.figure("Clock", plot, "The slowest group of CPUs before and after each artifact of each round.")


def _keyed(title: str, plot: str, caption: str, names: tuple[str, ...]) -> str:
    """A figure whose caption ends with a key to the parts of its bars, from left to right."""
    key = "".join(f'<span class="key key{number}"></span>{escape(name)}' for number, name in enumerate(names, start=1))
    return frame.figure(title, plot, f"{caption} From the left:", key=key)
