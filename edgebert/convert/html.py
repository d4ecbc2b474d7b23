"""``evidence.html``: the evidence of one conversion, for the person who decides what ships.

One self-contained page without script or external resource. All text that comes from users is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgebert.convert.html_table import columns, table
from edgebert.convert.html_text import (
    differing,
    metric_name,
    metric_scale,
    metric_title,
    metric_value,
    points,
)
from edgebert.convert.report import FAILED, PASSED, REFUSED, Evaluation, Report
from edgebert.convert.svg import difference_plot, size_plot
from edgebert.pages import frame, series
from edgebert.pages.text import capitalized, escape

_LABELS_SHOWN = 12
_PROBLEM_TYPES = {
    "single_label_classification": "one label per text",
    "multi_label_classification": "any number of labels per text",
    "regression": "regression",
}


def to_html(report: Report) -> str:
    """The evidence as one HTML page that needs nothing else.

    Args:
        report: what was measured; artifacts may lack a measurement, and the evaluation a metric.

    Returns:
        The page, which encodes as UTF-8 whatever characters the report's names hold.
    """
    shown = columns(report)
    body = [
        "<h2>Artifacts</h2>",
        frame.table(table(report.artifacts, shown)),
        "<h2>What the columns say</h2>",
        frame.definitions((column.title, escape(column.meaning)) for column in shown),
        _plots(report),
        "<h2>What it was measured on</h2>",
        frame.definitions(_facts(report)),
    ]
    name = report.name
    return frame.document(title=f"{name}: evidence", heading=name, verdict=_verdict(report), body="\n".join(body))


def _verdict(report: Report) -> str:
    """Who passed, who did not, and the worst of those that ship."""
    ids = {
        status: [outcome.id for outcome in report.artifacts if outcome.status == status]
        for status in (PASSED, REFUSED, FAILED)
    }
    total = len(report.artifacts)
    if not ids[PASSED]:
        sentences = ["No artifact passed the gate."]
    elif len(ids[PASSED]) < total:
        sentences = [f"{len(ids[PASSED])} of {total} artifacts passed the gate."]
    else:
        sentences = [f"All {total} artifacts passed the gate." if total > 1 else f"{ids[PASSED][0]} passed the gate."]
    sentences += [f"{status.capitalize()}: {', '.join(ids[status])}." for status in (REFUSED, FAILED) if ids[status]]
    return " ".join([*sentences, _worst(report)]).rstrip()


def _worst(report: Report) -> str:
    """How far those that passed are from the float32 checkpoint, at most; empty when none passed."""
    passed = {a.id: a.measurement for a in report.artifacts if a.status == PASSED and a.measurement is not None}
    if not passed:
        return ""
    most, least = ("at most ", "at least ") if len(passed) > 1 else ("", "")
    worst, measured = min(passed.items(), key=lambda item: item[1].label_agreement)
    one_each = measured.decisions == report.evaluation.texts
    counted, made = (
        f"{measured.decisions:,} {'texts' if one_each else 'decisions'}",
        "answered" if one_each else "made",
    )
    parts = [f"all {counted} are {made} as by the float32 checkpoint"]
    if not measured.decisions:
        parts = [
            f"the agreement with the float32 checkpoint is {least}{100 * measured.label_agreement:.2f} % ({worst})"
        ]
    elif count := differing(measured):
        are = "is" if count == 1 else "are"
        parts = [f"{most}{count:,} of {counted} {are} {made} otherwise than by the float32 checkpoint ({worst})"]
    scores = {name: measured.scores[0] for name, measured in passed.items() if measured.scores}
    if scores:
        worst, score = max(scores.items(), key=lambda item: item[1].drop)
        lost = f"falls by {most}{points(score.drop).lstrip('+')} points ({worst})"
        parts.append(f"{metric_name(score.metric)} {lost if score.drop > 0 else 'does not fall'}")
    sentence = f"{', and '.join(parts)}."
    return capitalized(sentence) if len(passed) == len(report.artifacts) else f"Among those that passed, {sentence}"


def _plots(report: Report) -> str:
    """Both plots with their captions, as far as there is something to draw."""
    measured = [outcome for outcome in report.artifacts if outcome.measurement is not None]
    figures = []
    if plot := difference_plot(measured):
        caption = (
            "The most that an output for an input of that length is off from float32's, alone, padded, and beside "
            "another text. "
            f"{series.legend((a.backend, a.precision) for a in measured)} "
            "A difference of exactly 0 is drawn at the bottom."
        )
        figures.append(frame.figure("Output difference over input length", plot, caption))
    metric = report.evaluation.metric
    if metric is None:
        title, caption = "Agreement over size", "Further up and further left is better."
        plot = size_plot(measured, "agreement, %", lambda m: 100 * m.label_agreement, None)
    else:
        scale, reference = metric_scale(metric), report.evaluation.scores[metric]
        axis = f"{metric_title(metric)}{', %' if scale == 100 else ''}"
        title, caption = f"{metric_title(metric)} over size", "Further up and further left is better."
        plot = size_plot(measured, axis, lambda m: scale * m.scores[0].value if m.scores else None, scale * reference)
    if plot:
        figures.append(frame.figure(title, plot, caption))
    return frame.figures(figures)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    """What was measured, on what, where and with what: terms in plain text, and what they are as HTML."""
    evaluation = report.evaluation
    yield "Checkpoint", f"<bdi>{escape(report.checkpoint)}</bdi>, {report.parameters:,} parameters"
    kind = _PROBLEM_TYPES.get(report.problem_type or "")
    yield "Task", escape(report.task + (f", {kind}" if kind else ""))
    if report.labels:
        yield f"Labels ({len(report.labels):,})", _labels(report.labels)
    yield "Texts compared on", _evaluation(evaluation)
    yield "Calibration texts", f"<bdi>{escape(report.calibration)}</bdi>"
    yield "Export graph", f"differs from transformers by at most {report.graph_diff:.2g} in a float32 output"
    yield "Machine", escape(", ".join(_machine(report.machine)))
    yield "Tools", escape(", ".join(f"{name} {version}" for name, version in report.tools.items()))
    yield "Measured at", escape(report.created)
    if report.notes:
        yield "Notes", "<br>".join(map(escape, report.notes))


def _labels(labels: Sequence[str]) -> str:
    written = [f"<bdi>{escape(label)}</bdi>" for label in labels]
    first, rest = ", ".join(written[:_LABELS_SHOWN]), ", ".join(written[_LABELS_SHOWN:])
    if not rest:
        return first
    summary = f"<summary>and {len(labels) - _LABELS_SHOWN:,} more</summary>"
    return f"{first}<details>{summary}{rest}</details>"


def _evaluation(evaluation: Evaluation) -> str:
    texts = f"{evaluation.texts:,} texts"
    if evaluation.path is None:
        return f"the {texts} of the calibration set; without an evaluation file there are no right answers to count"
    parts = [f"<bdi>{escape(evaluation.path)}</bdi>, {texts}"]
    for metric, value in evaluation.scores.items():
        parts.append(f"{metric_name(metric)} of the float32 checkpoint {metric_value(metric, value)}")
    if evaluation.sha256 is not None:
        parts.append(f"SHA-256 {escape(evaluation.sha256)}")
    return "; ".join(parts)


def _machine(machine: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(machine[key]) for key in ("model", "architecture", "system") if machine.get(key))
    if machine.get("physical_cores"):
        yield f"{machine['physical_cores']} physical cores"
    if machine.get("memory_bytes"):
        yield f"{machine['memory_bytes'] / 1e9:.1f} GB of memory"
    yield from map(str, machine.get("isa", ()))
