"""The words of the page: the verdict, what speaks against the figures, what ran, on what, and how it was measured."""

from __future__ import annotations

from collections.abc import Iterator

from edgebert.bench.pages.frontier import points_of, unbeaten
from edgebert.bench.pages.numbers import bounds, ms
from edgebert.bench.report import ALL_ROUNDS, OUT_OF_TIME, PRECISE, PROTOCOL, ArtifactResult, BenchmarkReport
from edgebert.pages import frame
from edgebert.pages.text import escape

_ENDED = {
    ALL_ROUNDS: "when the rounds asked for were made",
    PRECISE: "when every p50 was as sure as asked for",
    OUT_OF_TIME: "when another round would have taken too long",
}


def verdict(report: BenchmarkReport) -> str:
    """What a reader in a hurry needs."""
    points = points_of(report.artifacts)
    if not points:
        return "Nothing could be measured on this machine."
    fastest = min(points, key=lambda point: point.latency)
    smallest = min(points, key=lambda point: point.artifact.bytes)
    measured = fastest.artifact.measurements
    assert measured is not None
    latency = measured.texts_latency_ms
    sure = f" ({bounds(latency.p50_interval)})" if latency.p50_interval else ""
    sentences = [f"Fastest: {fastest.artifact.id}, {ms(latency.p50)} ms{sure} for a text."]
    if len(points) > 1:
        sentences.append(f"Smallest: {smallest.artifact.id}.")
        best = ", ".join(point.artifact.id for point in unbeaten(points))
        qualities = "size, latency and accuracy" if fastest.quality is not None else "size and latency"
        sentences.append(f"No other is better in {qualities} together: {best}.")
    if len(points) < len(report.artifacts):
        sentences.append(f"{len(points)} of {len(report.artifacts)} artifacts were measured.")
    return " ".join(sentences)


def warnings(report: BenchmarkReport) -> str:
    """What speaks against the figures, before them; an empty string when nothing does."""
    boxes = []
    if report.noisy:
        boxes.append(_box("Noisy: do not compare these figures with others", report.noise))
    slow = [
        f"{a.id}: {a.measurements.facts.slowdown}"
        for a in report.artifacts
        if a.measurements is not None and a.measurements.facts.slowdown
    ]
    if slow:
        boxes.append(_box("Slow here: a backend runs without its fast kernels", slow))
    return "\n".join(boxes)


def _box(title: str, sentences: tuple[str, ...] | list[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<aside class="warning"><h2>{escape(title)}</h2><ul>{items}</ul></aside>'


def absent(report: BenchmarkReport) -> str:
    """The artifacts without figures, and why; an empty string when all have some."""
    items = [
        (a.id, f"{escape(f'{a.status}: {a.reason}')}{_log(a)}") for a in report.artifacts if a.measurements is None
    ]
    return f"<h2>Not measured</h2>\n{frame.definitions(items)}" if items else ""


def _log(artifact: ArtifactResult) -> str:
    if not artifact.log:
        return ""
    return f"<details><summary>The end of its log</summary><pre>{escape(artifact.log)}</pre></details>"


def untold(report: BenchmarkReport) -> str:
    """What this machine does not tell, and why; an empty string when it tells everything."""
    items = [(name.capitalize(), escape(reason)) for name, reason in report.untold.items()]
    return f"<h2>What this machine does not tell</h2>\n{frame.definitions(items)}" if items else ""


def executed(report: BenchmarkReport) -> str:
    """The operators that ran, by artifact, as the backend tells them."""
    parts = [_executed(a) for a in report.artifacts if a.measurements is not None]
    return "\n".join(["<h2>What really ran</h2>", *parts]) if parts else ""


def _executed(artifact: ArtifactResult) -> str:
    assert artifact.measurements is not None
    facts, ran = artifact.measurements.facts, artifact.measurements.executed
    details = "".join(f", {name} {value}" for name, value in facts.details.items())
    head = escape(f"{artifact.id}: {facts.distribution} {facts.version} on {facts.device}{details}")
    if ran.execution is None:
        return f"<p>{head}. Operators: {escape(ran.reason)}</p>"
    rows = "".join(
        f'<tr><td class="n">{operator.count}</td><td>{escape(operator.type)}</td><td>{escape(operator.precision)}</td>'
        f"<td>{escape(operator.executed_by)}</td></tr>"
        for operator in ran.execution.operators
    )
    kernels = "".join(
        f'<tr><td class="n">{kernel.count}</td><td colspan="3">{escape(kernel.name)}</td></tr>'
        for kernel in ran.execution.kernels
    )
    titles = "".join(f'<th scope="col">{title}</th>' for title in ("Count", "Operator", "Precision", "Executed by"))
    table = f'<div class="scroll"><table class="plain"><thead><tr>{titles}</tr></thead><tbody>{rows}'
    table += f'<tr><th colspan="4">Kernels of the delegate</th></tr>{kernels}' if kernels else ""
    note = f"<p>{escape(ran.execution.untold)}</p>" if ran.execution.untold else ""
    length = f", {ran.length} tokens" if ran.length is not None else ""
    return f"<details><summary>{head}{length}</summary>{table}</tbody></table></div>{note}</details>"


def protocol(report: BenchmarkReport) -> str:
    """How the figures came about."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in PROTOCOL)
    return f"<h2>How it was measured</h2>\n<ul>{items}</ul>\n{frame.definitions(_plan(report))}"


def _plan(report: BenchmarkReport) -> Iterator[tuple[str, str]]:
    plan, course = report.plan, report.course
    yield "Rounds", f"{course.rounds} × {plan.repetitions} repetitions, {plan.warmup_runs} without the clock before"
    if course.precision is not None:
        yield (
            "Precision",
            f"every p50 is sure to ±{course.precision:.1%} or better, with {report.confidence:.0%} confidence; "
            f"the least sure is {escape(course.least_sure)}",
        )
    yield "Ended", f"{_ENDED.get(course.ended, escape(course.ended))}; it took {course.seconds:,.0f} s"
    threads = "what EdgeBERT chooses" if plan.threads is None else str(plan.threads)
    yield "Threads asked for", threads
    yield "Texts", f"{plan.text_count:,} {escape(plan.texts)}, SHA-256 {escape(plan.text_sha256)}"
    if report.evaluation is not None:
        file = report.evaluation
        yield "Evaluation file", f"<bdi>{escape(file.file)}</bdi>, {file.count:,} inputs, SHA-256 {escape(file.sha256)}"
    yield "Order", "; ".join(escape(", ".join(ids)) for ids in plan.order) + f" (seed {plan.seed})"


def machine(report: BenchmarkReport) -> str:
    """What it was measured on."""
    return f"<h2>Machine and versions</h2>\n{frame.definitions(_machine(report))}"


def _machine(report: BenchmarkReport) -> Iterator[tuple[str, str]]:
    of = report.machine
    yield "Bundle", f"<bdi>{escape(report.bundle)}</bdi>, {escape(report.task)}, SHA-256 {escape(report.bundle_digest)}"
    yield "Machine", escape(f"{of.model or 'unknown CPU'}, {of.architecture}, {of.system}")
    fast = "" if of.performance_cores == of.physical_cores else f", {of.performance_cores} of them fast"
    yield "Cores", f"{of.physical_cores} physical{fast}; {of.logical_cores} logical"
    yield "Memory", f"{of.memory_bytes / 2**30:.1f} GiB, {of.available_bytes / 2**30:.1f} free before the run"
    yield "Instruction set", escape(", ".join(sorted(of.isa))) or "none that EdgeBERT asks for"
    if report.settings:
        yield "Settings", escape(", ".join(f"{name} {value}" for name, value in report.settings.items()))
    yield "Load average", f"{_load(report.load_average_before)} before, {_load(report.load_average_after)} after"
    yield "Versions", escape(", ".join(f"{name} {version}" for name, version in report.versions.items()))
    yield "Begun at", escape(report.created)


def _load(average: tuple[float, float, float] | None) -> str:
    return "unknown" if average is None else f"{average[0]:.2f}"
