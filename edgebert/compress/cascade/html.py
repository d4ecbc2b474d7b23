"""``cascade.html``: what a cascade was measured to do, for people; one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from edgebert.compress.cascade.plot import share_plot
from edgebert.compress.cascade.report import CascadeReport, Pair
from edgebert.convert.html_text import points
from edgebert.pages import frame
from edgebert.pages.text import escape

_COLUMNS = ("Small", "Bigger", "Escalated", "Accuracy", "Bigger alone", "Small alone", "Drop, points", "Lost, gained")


def to_html(report: CascadeReport) -> str:
    """The evidence as one HTML page."""
    worst = report.worst
    head = "".join(f"<th{_numeric(index)}>{title}</th>" for index, title in enumerate(_COLUMNS))
    rows = "\n".join(_row(pair) for pair in report.pairs)
    caption = (
        f"{worst.small} and {worst.big}, which lose the most. The cross is the cascade; the line is what it would be "
        f"with other thresholds. At the right end the bigger one answers every text."
    )
    plot = share_plot(report.curve, worst.escalated, worst.accuracy)
    body = [
        "<h2>Pairs of artifacts</h2>",
        frame.table(f"<thead><tr>{head}</tr></thead>\n{rows}"),
        frame.figures([frame.figure("Accuracy over the share escalated", plot, caption)]),
        "<h2>How it was measured</h2>",
        frame.definitions((term, escape(text)) for term, text in _facts(report)),
    ]
    name = report.name
    return frame.document(title=f"{name}: cascade", heading=name, verdict=_verdict(report), body="\n".join(body))


def _verdict(report: CascadeReport) -> str:
    worst = report.worst
    return (
        f"{worst.escalated:.1%} of {report.texts:,} texts go to the bigger model; accuracy {worst.accuracy:.2%}, of "
        f"the bigger one alone {worst.big_accuracy:.2%} ({worst.lost} texts lost, {worst.gained} gained). An answer of "
        f"confidence below {report.threshold:.4g} is escalated."
    )


def _row(pair: Pair) -> str:
    cells = (
        pair.small,
        pair.big,
        f"{pair.escalated:.1%}",
        f"{pair.accuracy:.2%}",
        f"{pair.big_accuracy:.2%}",
        f"{pair.small_accuracy:.2%}",
        points(-pair.drop),
        f"{pair.lost}, {pair.gained}",
    )
    written = "".join(
        f'<td{_numeric(index)} data-label="{_COLUMNS[index]}">{escape(cell)}</td>' for index, cell in enumerate(cells)
    )
    return f"<tbody><tr>{written}</tr></tbody>"


def _numeric(index: int) -> str:
    return ' class="n"' if index > 1 else ""


def _facts(report: CascadeReport) -> Iterator[tuple[str, str]]:
    for role, title in (("small", "Small bundle"), ("big", "Bigger bundle")):
        bundle = report.bundles[role]
        yield title, f"{bundle['name']}, digest {bundle['digest'][:12]}, from {bundle['checkpoint']}"
    yield (
        "Texts",
        (
            f"{report.evaluation['path']}: {report.fitted_on:,} to fit on, {report.texts:,} others to measure on (seed "
            f"{report.seed}); SHA-256 {report.evaluation['sha256']}"
        ),
    )
    yield (
        "Rule",
        (
            f"softmax of logits / {report.temperature:.4g}; the largest value is the confidence; below "
            f"{report.threshold:.6g} the bigger one answers; fitted so that at most {report.max_drop:.2%} of the texts "
            f"are lost"
        ),
    )
    yield (
        "Calibration error",
        "; ".join(
            f"{artifact} {before:.3f}, with the temperature {after:.3f}"
            for artifact, (before, after) in report.calibration_error.items()
        ),
    )
    worst = report.worst
    yield "Standard error", f"of the drop: {worst.drop_error / report.texts:.2%} (paired answers)"
    absent = [f"{role} {name}: {why}" for role, those in report.absent.items() for name, why in those.items()]
    if absent:
        yield "Not measured", "; ".join(absent)
    machine = report.machine
    yield "Machine", f"{machine['model'] or machine['architecture']}, {machine['physical_cores']} cores"
    yield "Tools", ", ".join(f"{name} {version}" for name, version in report.tools.items())
    yield "Command", " ".join(report.command) or "from Python"
    yield "Measured at", report.created
