"""A benchmark's report as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from edgebert.bench.report import CRASHED, ArtifactResult, BenchmarkReport, Measurements
from edgebert.bench.stats import Latency

_MB = 1e6


def render(report: BenchmarkReport) -> str:
    """What :meth:`BenchmarkReport.table` gives."""
    measured = [(result, result.measurements) for result in report.artifacts if result.measurements is not None]
    parts = [_head(report)]
    if measured:
        parts += [_startup(measured), _latency(report.plan.lengths, measured)]
    slow = [f"SLOW: {result.id}: {m.facts.slowdown}." for result, m in measured if m.facts.slowdown]
    parts += ["\n".join(map(_wrapped, slow))] if slow else []
    parts += [_absent(result) for result in report.artifacts if result.measurements is None]
    if report.noise:
        parts.append("\n".join(["NOISY: do not compare these figures with others.", *map(_item, report.noise)]))
    return "\n\n".join(parts) + "\n"


def _head(report: BenchmarkReport) -> str:
    machine, plan, versions = report.machine, report.plan, report.versions
    cores = f"{machine.physical_cores} core{'s' if machine.physical_cores > 1 else ''}"
    name = " ".join((machine.model or "unknown CPU").split())
    lines = [
        f"{report.bundle} ({report.bundle_digest[:12]}), EdgeBERT {versions['edgebert']}, "
        f"Python {versions['python']}, {report.created}",
        f"{name}, {machine.architecture}, {cores}, {machine.memory_bytes / 2**30:.1f} GiB",
        f"{plan.rounds} rounds x {plan.repetitions} repetitions, seed {plan.seed}; "
        f"{plan.text_count} {plan.texts} texts; medians unless said otherwise",
    ]
    return "\n".join(_wrapped(line) for line in lines)


def _startup(measured: Sequence[tuple[ArtifactResult, Measurements]]) -> str:
    rows = [["artifact", "runtime", "thr.", "disk", "python", "import", "load", "first", "total", "RSS", "peak", "t/s"]]
    rows += [
        [
            result.id,
            f"{m.facts.distribution} {m.facts.version.split('-')[0]}",
            str(m.facts.threads),
            f"{result.bytes / _MB:.1f}",
            *(_ms(r.median) for r in (m.interpreter_ms, m.import_ms, m.load_ms, m.first_answer_ms, m.total_ms)),
            _memory(m.first_answer_rss_bytes),
            _memory(m.peak_rss_bytes),
            f"{m.texts_per_second.median:.1f}",
        ]
        for result, m in measured
    ]
    title = (
        "Size on disk in MB. Start-up in ms: python, import edgebert, load (with hashes and self-test), first answer,\n"
        "their total. Peak memory in MB: after the first answer, and of the whole run. Throughput in texts/s."
    )
    return f"{title}\n{align(rows, left=2)}"


def _latency(lengths: Sequence[int], measured: Sequence[tuple[ArtifactResult, Measurements]]) -> str:
    rows = [["artifact", *(f"{length} tokens" for length in lengths), "the texts"]]
    rows += [
        [result.id, *(_percentiles(m.latency_ms[length]) for length in lengths), _percentiles(m.texts_latency_ms)]
        for result, m in measured
    ]
    title = "Latency in ms from input to answer, batch 1: p50 / p95 / p99 over all repetitions of all rounds."
    return f"{title}\n{align(rows, left=1)}"


def _absent(result: ArtifactResult) -> str:
    sentence = _wrapped(f"{result.id}: {result.status}: {result.reason}")
    if result.status == CRASHED and result.log:
        sentence += "\n" + textwrap.indent(result.log, "    ")
    return sentence


def align(rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Columns by blanks; the first ``left`` of them flush left, the others flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        padded = [f"{cell:<{width}}" if i < left else f"{cell:>{width}}" for i, (cell, width) in enumerate(cells)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _percentiles(latency: Latency) -> str:
    return " / ".join(_ms(value) for value in (latency.p50, latency.p95, latency.p99))


def _ms(value: float) -> str:
    """Three significant digits, which is more than the spread justifies; whole milliseconds from 100 on."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _memory(value: int | None) -> str:
    return "?" if value is None else f"{value / _MB:.0f}"


def _item(sentence: str) -> str:
    return _wrapped(f"- {sentence}")


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
