"""A benchmark's report as plain text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from edgebert.bench.report import (
    CRASHED,
    OUT_OF_TIME,
    PRECISE,
    ArtifactResult,
    BenchmarkReport,
    Evaluation,
    Measurements,
    ThermalState,
)
from edgebert.bench.stats import CONFIDENCE, Latency

_MB = 1e6

Measured = Sequence[tuple[ArtifactResult, Measurements]]


def render(report: BenchmarkReport) -> str:
    """What :meth:`BenchmarkReport.table` gives."""
    measured = [(result, result.measurements) for result in report.artifacts if result.measurements is not None]
    parts = [_head(report)]
    if measured:
        parts += [_startup(measured), _latency(measured), _serving(measured)]
        if report.evaluation is not None:
            parts.append(_accuracy(report.evaluation, measured))
        parts += [part for part in (_energy(measured), _heat(measured), _executed(measured)) if part]
    slow = [f"SLOW: {result.id}: {m.facts.slowdown}." for result, m in measured if m.facts.slowdown]
    parts += ["\n".join(map(_wrapped, slow))] if slow else []
    parts += [_absent(result) for result in report.artifacts if result.measurements is None]
    if report.untold:
        parts.append("\n".join(["Not told by this machine:", *(_item(f"{k}: {v}") for k, v in report.untold.items())]))
    if report.noise:
        parts.append("\n".join(["NOISY: do not compare these figures with others.", *map(_item, report.noise)]))
    return "\n\n".join(parts) + "\n"


def _head(report: BenchmarkReport) -> str:
    machine, plan, versions = report.machine, report.plan, report.versions
    cores = _count(machine.physical_cores, "core")
    name = " ".join((machine.model or "unknown CPU").split())
    lines = [
        f"{report.bundle} ({report.bundle_digest[:12]}), EdgeBERT {versions['edgebert']}, "
        f"Python {versions['python']}, {report.created}",
        f"{name}, {machine.architecture}, {cores}, {machine.memory_bytes / 2**30:.1f} GiB",
        f"{_count(report.course.rounds, 'round')} x {_count(plan.repetitions, 'repetition')}, seed {plan.seed}; "
        f"{plan.text_count} {plan.texts} texts; medians unless said otherwise",
        _precision(report),
    ]
    return "\n".join(_wrapped(line) for line in lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _precision(report: BenchmarkReport) -> str:
    """How sure the medians are, and whether that is what was asked for."""
    course, asked = report.course, report.plan.precision
    if course.precision is None:
        said = "one round: how sure the medians are is not known"
    else:
        said = f"± is half the {report.confidence:.0%} interval of a p50; the widest is {_share(course.precision)}"
        said += f" ({course.least_sure})"
    if asked is not None and report.course.ended == PRECISE:
        said += f": at most {_share(asked)}, as asked for"
    elif asked is not None:
        said += f"; {_share(asked)} was asked for"
    if course.ended == OUT_OF_TIME and report.plan.budget_seconds is not None:
        said += f": the budget of {report.plan.budget_seconds:.0f} s has ended the rounds"
    return f"{said}; {course.seconds:.0f} s in all"


def _startup(measured: Measured) -> str:
    rows = [["artifact", "runtime", "threads", "python", "import", "load", "first", "total"]]
    rows += [
        [
            result.id,
            f"{m.facts.distribution} {m.facts.version.split('-')[0]}",
            str(m.facts.threads),
            *(_ms(r.median) for r in (m.interpreter_ms, m.import_ms, m.load_ms, m.first_answer_ms, m.total_ms)),
        ]
        for result, m in measured
    ]
    title = "Start-up in ms: python, import edgebert, load (with hashes and self-test), first answer, and their total."
    return f"{title}\n{align(rows, left=2)}"


def _latency(measured: Measured) -> str:
    rows = [["artifact", "input", "p50", "±", "p90", "p95", "p99", "p25 to p75", "tokenization"]]
    for result, m in measured:
        for length, latency in m.latency_ms.items():
            rows.append(_latency_row(result.id, f"{length} tokens", latency, m.tokenization_share[length]))
        rows.append(_latency_row(result.id, "the texts", m.texts_latency_ms, m.texts_tokenization_share))
    title = (
        "Latency in ms from input to answer, batch 1, over all repetitions of all rounds; the share of tokenization."
    )
    return f"{title}\n{align(rows, left=2)}"


def _latency_row(artifact: str, what: str, latency: Latency, tokenization: float) -> list[str]:
    return [
        artifact,
        what,
        _ms(latency.p50),
        "?" if latency.precision is None else _share(latency.precision),
        *(_ms(value) for value in (latency.p90, latency.p95, latency.p99)),
        f"{_ms(latency.p25)} to {_ms(latency.p75)}",
        f"{tokenization:.1%}",
    ]


def _serving(measured: Measured) -> str:
    rows = [["artifact", "texts/s", "disk", "first", "peak", "files", "own"]]
    rows += [
        [
            result.id,
            f"{m.texts_per_second.median:.1f}",
            f"{result.bytes / _MB:.1f}",
            _memory(m.first_answer_rss_bytes),
            _memory(m.peak_rss_bytes),
            _memory(None if m.resident is None else m.resident.file_bytes),
            _memory(None if m.resident is None else m.resident.anonymous_bytes),
        ]
        for result, m in measured
    ]
    title = (
        "Throughput on the texts. Size on disk in MB. Memory in MB: the peak until the first answer and of the whole\n"
        "run; and of what is held at the end, pages of files and the process' own."
    )
    return f"{title}\n{align(rows, left=1)}"


def _accuracy(evaluation: Evaluation, measured: Measured) -> str:
    rows = [["artifact", "metric", "value", f"{CONFIDENCE:.0%} interval", "reference", "kept"]]
    for result, m in measured:
        for score in m.accuracy.scores if m.accuracy is not None else ():
            between = "" if score.interval is None else f"{score.interval.low:.4f} to {score.interval.high:.4f}"
            reference = "?" if score.reference is None else f"{score.reference:.4f}"
            kept = "?" if score.retention is None else f"{score.retention:.1%}"
            rows.append([result.id, score.metric, f"{score.value:.4f}", between, reference, kept])
    against = {"checkpoint": "; the reference is the float32 checkpoint", "": ""}
    said = against.get(evaluation.reference, f"; the reference is {evaluation.reference} in this run")
    title = f"Accuracy on {evaluation.file}, {evaluation.count} inputs{said}."
    return f"{_wrapped(title)}\n{align(rows, left=2)}"


def _energy(measured: Measured) -> str:
    energies = [(result.id, m.energy) for result, m in measured if m.energy is not None]
    if not energies:
        return ""
    rows = [["artifact", "mJ, one by one", "mJ, streamed"]]
    rows += [
        [name, _ms(one.joules_per_inference.median * 1000), _ms(one.joules_per_text.median * 1000)]
        for name, one in energies
    ]
    _, first = energies[0]
    title = f"Energy of a text, by {first.source} ({', '.join(first.domains)}), idle power of {first.idle_watts:.2f} W"
    return f"{_wrapped(title + ' included.')}\n{align(rows, left=1)}"


def _heat(measured: Measured) -> str:
    rows = [["artifact", "hottest before", "after", "fastest clock before", "after"]]
    for result, m in measured:
        if m.thermal:
            moments = [heat.before for heat in m.thermal], [heat.after for heat in m.thermal]
            rows.append([result.id, *map(_hottest, moments), *map(_fastest, moments)])
    if len(rows) == 1:
        return ""
    return f"Heat: the most of all rounds, when the timing began and when it ended.\n{align(rows, left=1)}"


def _hottest(states: Sequence[ThermalState]) -> str:
    degrees = [value for state in states for value in state.temperatures_c.values()]
    return f"{max(degrees):.1f} °C" if degrees else "?"


def _fastest(states: Sequence[ThermalState]) -> str:
    megahertz = [value for state in states for value in state.frequencies_mhz.values()]
    return f"{max(megahertz):.0f} MHz" if megahertz else "?"


def _executed(measured: Measured) -> str:
    lines = [f"{result.id}: {m.facts.device}: {'; '.join(_operators(m))}" for result, m in measured]
    return "\n".join(["What ran, by what executed it:", *map(_item, lines)])


def _operators(measurements: Measurements) -> Iterator[str]:
    execution = measurements.executed.execution
    if execution is None:
        yield f"not told: {measurements.executed.reason}"
        return
    counts: Counter[str] = Counter()
    for operator in execution.operators:
        counts[operator.executed_by] += operator.count
    for executed_by, count in counts.most_common(3):
        yield f"{count} operators by {executed_by}"
    if len(counts) > 3:
        yield f"{counts.total() - sum(n for _, n in counts.most_common(3))} by {len(counts) - 3} others"
    if execution.kernels:
        yield f"{sum(kernel.count for kernel in execution.kernels)} kernels"


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


def _share(value: float) -> str:
    """A plus-minus as a share: two digits, which is all that it is worth."""
    if value >= 1:
        return "over 100%"
    return f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"


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
