"""What a tracker is given of a report: figures by name, what they were measured on, and the files whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from edgebert.bench.pages import to_html
from edgebert.bench.report import BenchmarkReport, Measurements
from edgebert.bundle import Bundle

REPORT_NAME = "benchmark.json"
PAGE_NAME = "benchmark.html"


@dataclass(frozen=True, slots=True)
class Record:
    """One run as trackers know it.

    Attributes:
        name: of the run, for people.
        config: what the figures were measured on and how: dotted names -> values.
        metrics: ``artifact/figure_unit`` -> value, for each artifact that was measured.
        files: names -> contents.
    """

    name: str
    config: Mapping[str, str | int | float | bool]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes]


def make_record(report: BenchmarkReport, bundle: Bundle | None) -> Record:
    """The record of a report.

    Args:
        report: what was measured.
        bundle: the bundle that was measured, whose evidence is attached; ``None`` where it is not at hand.

    Raises:
        IntegrityError: the evidence in the bundle is missing or altered.
    """
    files = {REPORT_NAME: report.to_json(), PAGE_NAME: to_html(report).encode()}
    if bundle is not None:
        evidence = [bundle.manifest.evidence]
        if bundle.manifest.cascade is not None:
            evidence.append(bundle.manifest.cascade.evidence)
        files |= {file.path.rpartition("/")[2]: bundle.read(file) for file in evidence}
    return Record(
        name=f"{report.bundle} {report.created}",
        config=dict(_config(report)),
        metrics={
            f"{artifact.id}/{name}": value
            for artifact in report.artifacts
            if artifact.measurements is not None
            for name, value in (("disk_bytes", float(artifact.bytes)), *_metrics(artifact.measurements))
        },
        files=files,
    )


def _metrics(measured: Measurements) -> Iterator[tuple[str, float]]:
    latencies = {f"{length}_tokens": latency for length, latency in measured.latency_ms.items()}
    for name, latency in {**latencies, "texts": measured.texts_latency_ms}.items():
        for percentile in ("p50", "p90", "p95", "p99"):
            yield f"latency_{name}_{percentile}_ms", getattr(latency, percentile)
        if latency.p50_interval is not None:
            yield f"latency_{name}_p50_low_ms", latency.p50_interval.low
            yield f"latency_{name}_p50_high_ms", latency.p50_interval.high
    yield "texts_per_second", measured.texts_per_second.median
    yield "tokenization_share", measured.texts_tokenization_share
    for name in ("interpreter_ms", "import_ms", "load_ms", "first_answer_ms", "total_ms"):
        yield f"start_up_{name}", getattr(measured, name).median
    for name in ("first_answer_rss_bytes", "peak_rss_bytes"):
        if (size := getattr(measured, name)) is not None:
            yield name, float(size)
    if measured.resident is not None:
        yield "resident_file_bytes", float(measured.resident.file_bytes)
        yield "resident_anonymous_bytes", float(measured.resident.anonymous_bytes)
    if measured.energy is not None:
        yield "joules_per_inference", measured.energy.joules_per_inference.median
        yield "joules_per_text", measured.energy.joules_per_text.median
    for score in measured.accuracy.scores if measured.accuracy is not None else ():
        yield score.metric, score.value
        if score.retention is not None:
            yield f"{score.metric}_retention", score.retention


def _config(report: BenchmarkReport) -> Iterator[tuple[str, str | int | float | bool]]:
    yield from (("bundle", report.bundle), ("bundle_digest", report.bundle_digest), ("task", report.task))
    yield from (("created", report.created), ("noisy", report.noisy), ("noise", "; ".join(report.noise)))
    for field in fields(report.machine):
        value = getattr(report.machine, field.name)
        yield f"machine.{field.name}", ", ".join(sorted(value)) if isinstance(value, frozenset) else value
    yield from ((f"versions.{name}", version) for name, version in report.versions.items())
    yield from ((f"settings.{name}", value) for name, value in report.settings.items())
    plan = report.plan
    yield "plan.lengths", ", ".join(map(str, plan.lengths))
    for name in ("repetitions", "warmup_runs", "batch_size", "seed", "texts", "text_count", "text_sha256"):
        yield f"plan.{name}", getattr(plan, name)
    yield "plan.threads", "default" if plan.threads is None else plan.threads
    yield "rounds", report.course.rounds
    if report.evaluation is not None:
        yield "evaluation.file", report.evaluation.file
        yield "evaluation.sha256", report.evaluation.sha256
    for artifact in report.artifacts:
        yield f"{artifact.id}.status", artifact.status
        if artifact.measurements is not None:
            facts = artifact.measurements.facts
            yield f"{artifact.id}.runtime", f"{facts.distribution} {facts.version}"
            yield f"{artifact.id}.threads", facts.threads
            yield f"{artifact.id}.device", facts.device
