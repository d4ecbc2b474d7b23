"""The tables of the page: what each artifact costs and gives, and every percentile of its latencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgebert.bench.pages import numbers
from edgebert.bench.pages.numbers import NONE, bounds, megabytes, ms
from edgebert.bench.report import ArtifactResult, BenchmarkReport, Measurements
from edgebert.bench.stats import Latency
from edgebert.pages import frame
from edgebert.pages.text import capitalized, escape


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, what it says, and its cell, as HTML."""

    title: str
    meaning: str
    cell: Callable[[ArtifactResult, Measurements], str]
    numeric: bool = True


def columns(report: BenchmarkReport) -> list[Column]:
    """What artifacts are chosen by: size, accuracy, speed."""
    return list(_columns(report))


def costs(report: BenchmarkReport) -> list[Column]:
    """What else they cost, as far as the report tells."""
    return list(_costs(report))


def summary(report: BenchmarkReport, shown: Sequence[Column]) -> str:
    """One row per artifact that was measured."""
    measured = [(a, a.measurements) for a in report.artifacts if a.measurements is not None]
    head = "".join(f'<th scope="col"{_align(column.numeric)}>{escape(column.title)}</th>' for column in shown)
    rows = [
        f'<tbody><tr><th scope="row">{escape(a.id)}</th>'
        + "".join(
            f'<td{_align(column.numeric)} data-label="{escape(column.title)}">{column.cell(a, m)}</td>'
            for column in shown
        )
        + "</tr></tbody>"
        for a, m in measured
    ]
    return frame.table("\n".join([f'<thead><tr><th scope="col">Artifact</th>{head}</tr></thead>', *rows]))


def percentiles(report: BenchmarkReport) -> str:
    """One row per artifact and length."""
    titles = ("Input", "Samples", "p5", "p25", "p50", f"p50, {report.confidence:.0%} sure", "p75", "p90", "p95", "p99")
    head = "".join(f'<th scope="col" class="n">{title}</th>' for title in titles)
    bodies = []
    for artifact in report.artifacts:
        if artifact.measurements is None:
            continue
        inputs = {f"{length} tokens": latency for length, latency in artifact.measurements.latency_ms.items()}
        for name, latency in {**inputs, "the texts": artifact.measurements.texts_latency_ms}.items():
            cells = "".join(
                f'<td class="n" data-label="{title}">{cell}</td>'
                for title, cell in zip(titles, (name, *_distribution(latency)), strict=True)
            )
            bodies.append(f'<tbody><tr><th scope="row">{escape(artifact.id)}</th>{cells}</tr></tbody>')
    return frame.table("\n".join([f'<thead><tr><th scope="col">Artifact</th>{head}</tr></thead>', *bodies]))


def _distribution(latency: Latency) -> Iterator[str]:
    yield f"{latency.count:,}"
    yield from map(ms, (latency.p5, latency.p25, latency.p50))
    yield bounds(latency.p50_interval) or NONE
    yield from map(ms, (latency.p75, latency.p90, latency.p95, latency.p99))


def _columns(report: BenchmarkReport) -> Iterator[Column]:
    yield Column(
        "Runtime",
        "The backend that ran it, its version, and how many threads computed.",
        lambda a, m: escape(f"{m.facts.distribution} {m.facts.version}") + _small(_threads(m.facts.threads)),
        numeric=False,
    )
    yield Column(
        "Disk, MB",
        "Its files in million bytes; of a cascade, of both bundles.",
        lambda a, m: (
            f"{a.bytes / 1e6:,.1f}"
            + (_small(" + ".join(f"{size / 1e6:,.1f}" for size in a.stage_bytes)) if len(a.stage_bytes) > 1 else "")
        ),
    )
    yield from _accuracy(report)
    for length in report.plan.lengths:
        yield Column(
            f"{length} tokens, ms",
            f"Latency at batch 1 of an input of {length} tokens: p50, and where it lies with {report.confidence:.0%} "
            "confidence.",
            lambda a, m, length=length: _latency(m.latency_ms[length]),  # type: ignore[misc]
        )
    yield Column(
        "Texts, ms",
        f"The same on {report.plan.text_count:,} {report.plan.texts} texts; and the share of it that is tokenization.",
        lambda a, m: _latency(m.texts_latency_ms) + _small(f"{m.texts_tokenization_share:.1%} tokenization"),
    )
    yield Column(
        "Texts/s", "Throughput: the same texts streamed, in batches.", lambda a, m: f"{m.texts_per_second.median:,.1f}"
    )


def _costs(report: BenchmarkReport) -> Iterator[Column]:
    yield Column(
        "Start-up, ms", "From the start of the process to its first answer.", lambda a, m: ms(m.total_ms.median)
    )
    yield Column(
        "Memory at first, MB",
        "The most that the process held in memory until the first answer.",
        lambda a, m: megabytes(m.first_answer_rss_bytes),
    )
    yield Column(
        "Peak memory, MB", "The most that it held over the whole run.", lambda a, m: megabytes(m.peak_rss_bytes)
    )
    if any(a.measurements is not None and a.measurements.energy is not None for a in report.artifacts):
        yield Column("Energy, mJ", "Of one inference at batch 1.", lambda a, m: _energy(m, "joules_per_inference"))
        yield Column("Energy streamed, mJ", "Of one text in batches.", lambda a, m: _energy(m, "joules_per_text"))


def _accuracy(report: BenchmarkReport) -> Iterator[Column]:
    if report.evaluation is None:
        return
    metrics = dict.fromkeys(
        score.metric
        for a in report.artifacts
        if a.measurements is not None and a.measurements.accuracy is not None
        for score in a.measurements.accuracy.scores
    )
    of = {"checkpoint": "the float32 checkpoint's", "": ""}.get(report.evaluation.reference)
    of = f"{report.evaluation.reference}'s" if of is None else of
    for metric in metrics:
        yield Column(
            capitalized(numbers.metric(metric)),
            f"On {report.evaluation.file}, {report.evaluation.count:,} inputs"
            + (f"; and what it is of {of}, in per cent." if of else "."),
            lambda a, m, metric=metric: _score(m, metric),  # type: ignore[misc]
        )


def _score(measured: Measurements, metric: str) -> str:
    scores = measured.accuracy.scores if measured.accuracy is not None else ()
    for score in scores:
        if score.metric == metric:
            kept = "" if score.retention is None else _small(f"{score.retention:.2%}")
            return f"{score.value:.4f}{kept}"
    return NONE


def _energy(measured: Measurements, figure: str) -> str:
    return NONE if measured.energy is None else f"{1000 * getattr(measured.energy, figure).median:.3g}"


def _latency(latency: Latency) -> str:
    return ms(latency.p50) + (_small(bounds(latency.p50_interval)) if latency.p50_interval else "")


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>"


def _align(numeric: bool) -> str:
    return ' class="n"' if numeric else ""
