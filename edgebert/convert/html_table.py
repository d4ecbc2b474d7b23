"""The table of ``evidence.html``: one row per artifact, and one sentence per column on what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgebert.convert.evidence import Measurement, TaskScore
from edgebert.convert.html_text import (
    differing,
    metric_meaning,
    metric_title,
    metric_value,
    points,
)
from edgebert.convert.report import Evaluation, Outcome, Report
from edgebert.convert.target import GateLimits
from edgebert.pages.text import escape, megabytes

_FLOAT32_BYTES = 4
_NONE = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its title and meaning in plain text, and its cell for an artifact, as HTML."""

    title: str
    meaning: str
    cell: Callable[[Outcome], str]
    numeric: bool = True


def columns(report: Report) -> list[Column]:
    """The columns that the report can fill, from left to right."""
    weights = report.parameters * _FLOAT32_BYTES
    texts = f"{report.evaluation.texts:,} texts"
    found = [
        Column(
            "Status",
            "Passed: it met every limit of the gate. Refused: it was measured and did not. Failed: it could not be "
            "made or run. Only what passed is in the bundle.",
            lambda a: f'<span class="status">{escape(a.status)}</span>',
            numeric=False,
        ),
        Column(
            "Targets",
            "The kinds of device it was made for.",
            lambda a: _lines(a.targets),
            numeric=False,
        ),
        Column(
            "Size",
            f"Its files in MB (a million bytes), and how many times the {megabytes(weights)} of the float32 weights "
            f"({report.parameters:,} parameters × {_FLOAT32_BYTES} bytes) that is.",
            lambda a: _NONE if a.bytes is None else megabytes(a.bytes) + _small(f"{a.bytes / weights:.3f} ×"),
        ),
    ]
    found += _metric_columns(report.evaluation)
    found += [
        Column(
            "Agreement",
            f"{report.evaluation.agreement}; and how many differ, where there is something to count.",
            _measured(lambda m: f"{100 * m.label_agreement:.2f} %" + (_count(m) if m.decisions else "")),
        ),
        Column(
            "Max output difference",
            "The most that any output (a logit, before softmax or sigmoid, or an element of an embedding) is off from "
            "float32's, over all texts, golden inputs and probes.",
            _measured(lambda m: f"{m.max_abs_diff:.2g}"),
        ),
        Column(
            "Mean output difference",
            f"How far an output is off from float32's on average over the {texts}.",
            _measured(lambda m: f"{m.mean_abs_diff:.2g}"),
        ),
        Column(
            "Neighbour difference",
            "The most that an output for one and the same text moved when it was padded and, where the artifact takes "
            "batches, run beside another text; 0 means not at all.",
            _measured(lambda m: f"{m.neighbour_diff:.2g}"),
        ),
        Column(
            "Gate limits",
            "What it had to reach: the strictest of its targets' limits, or what the command line set instead.",
            lambda a: _limits(a.limits, report.evaluation.metric) if a.limits else _NONE,
            numeric=False,
        ),
        Column(
            "Self-test tolerance",
            "The most that an output may be off on the golden inputs when a device tests the artifact before it trusts "
            "it; and how far it was off here.",
            _self_test,
        ),
    ]
    return found


def table(outcomes: Sequence[Outcome], shown: Sequence[Column]) -> str:
    """The inside of the ``<table>`` element."""
    titles = "".join(f'<th scope="col"{_align(column)}>{escape(column.title)}</th>' for column in shown)
    head = f'<thead><tr><th scope="col">Artifact</th>{titles}</tr></thead>'
    return "\n".join([head, *(_row(outcome, shown) for outcome in outcomes)])


def _row(outcome: Outcome, shown: Sequence[Column]) -> str:
    cells = "".join(
        f'<td{_align(column)} data-label="{escape(column.title)}">{column.cell(outcome)}</td>' for column in shown
    )
    return (
        f'<tbody class="{escape(outcome.status)}"><tr><th scope="row">{escape(outcome.id)}</th>{cells}</tr>\n'
        f'<tr class="more"><td colspan="{len(shown) + 1}">{_details(outcome)}</td></tr></tbody>'
    )


def _details(outcome: Outcome) -> str:
    parts = []
    if outcome.reasons:
        parts.append(f'<ul class="why">{"".join(f"<li>{escape(reason)}</li>" for reason in outcome.reasons)}</ul>')
    facts = []
    if outcome.measurement is not None:
        measured = outcome.measurement
        threads = f"{measured.threads} thread{'' if measured.threads == 1 else 's'}"
        details = [measured.runtime, threads, *(f"{name} {value}" for name, value in measured.details.items())]
        facts.append(("Runtime", ", ".join(details)))
    if outcome.quantization:
        facts.append(("Quantization", outcome.quantization))
    facts.append(
        ("Made and measured in" if outcome.measurement else "Ended after", f"{outcome.seconds:.1f}\N{NO-BREAK SPACE}s")
    )
    parts += [f"<p><b>{name}</b> {escape(text)}</p>" for name, text in facts]
    if outcome.log:
        parts.append(f"<details><summary>The end of its log</summary><pre>{escape(outcome.log)}</pre></details>")
    return "".join(parts)


def _metric_columns(evaluation: Evaluation) -> list[Column]:
    found = []
    for index, (metric, value) in enumerate(evaluation.scores.items()):
        reference = metric_value(metric, value)
        found += [
            Column(
                metric_title(metric),
                f"{metric_meaning(metric)}, on the evaluation file; the float32 checkpoint reaches {reference}.",
                _scored(index, lambda score: metric_value(score.metric, score.value)),
            ),
            Column(
                f"{metric_title(metric)} against float32",
                f"{metric_title(metric)} minus that of the float32 checkpoint, in points (hundredths); below 0 is "
                "worse.",
                _scored(index, lambda score: points(-score.drop)),
            ),
        ]
    return found


def _measured(write: Callable[[Measurement], str]) -> Callable[[Outcome], str]:
    return lambda outcome: _NONE if outcome.measurement is None else write(outcome.measurement)


def _scored(index: int, write: Callable[[TaskScore], str]) -> Callable[[Outcome], str]:
    return _measured(lambda measured: write(measured.scores[index]) if measured.scores else _NONE)


def _limits(limits: GateLimits, metric: str | None) -> str:
    lines = [f"agreement ≥ {100 * limits.min_label_agreement:g} %"]
    if metric is not None:
        lines.append(f"loss ≤ {100 * limits.max_metric_drop:g} points")
    if limits.max_logit_difference is not None:
        lines.append(f"output difference ≤ {limits.max_logit_difference:g} of the largest")
    return _lines(lines)


def _self_test(outcome: Outcome) -> str:
    if outcome.tolerance is None or outcome.measurement is None:
        return _NONE
    return f"{outcome.tolerance:.2g}" + _small(f"here {outcome.measurement.golden_diff:.2g}")


def _lines(lines: Sequence[str]) -> str:
    return f'<span class="lines">{"<br>".join(map(escape, lines))}</span>'


def _count(measured: Measurement) -> str:
    differ = differing(measured)
    return _small(f"{differ:,} differ{'s' if differ == 1 else ''}")


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>"


def _align(column: Column) -> str:
    return ' class="n"' if column.numeric else ""
