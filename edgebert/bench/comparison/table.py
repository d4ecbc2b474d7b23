"""A comparison as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from edgebert.bench.comparison.change import BETTER, SAME, UNCLEAR, WORSE
from edgebert.bench.comparison.compare import Comparison, FigureChange
from edgebert.bench.table import align

_HEADER = ("artifact", "figure", "before", "after", "unit", "change", "interval", "rounds", "verdict")


def render(comparison: Comparison) -> str:
    """What :meth:`Comparison.table` gives."""
    parts = []
    if comparison.obstacles:
        parts.append(_listed("NOT COMPARABLE: differences may come from this.", comparison.obstacles))
    parts.append(f"Before: {comparison.before}. After: {comparison.after}.")
    if comparison.changes:
        parts.append(_listed("Between them changed:", comparison.changes))
    if comparison.figures:
        parts.append(align([_HEADER, *map(_row, comparison.figures)], left=2))
    if comparison.left_out:
        parts.append(_listed("Not compared:", comparison.left_out))
    if comparison.lost:
        parts.append(_listed("NO LONGER RUNS:", comparison.lost))
    parts.append(_wrapped(_conclusion(comparison)))
    return "\n\n".join(parts) + "\n"


def _row(figure: FigureChange) -> Sequence[str]:
    change = figure.change
    ratio = figure.after / figure.before if change is None else change.ratio
    interval = "-" if change is None else f"{_percent(change.low)} to {_percent(change.high)}"
    return (
        figure.artifact,
        figure.figure,
        _number(figure.before),
        _number(figure.after),
        figure.unit,
        _percent(ratio),
        interval,
        "-" if change is None else "{}, {}".format(*figure.rounds),
        figure.verdict.upper() if figure.verdict == WORSE else figure.verdict,
    )


def _conclusion(comparison: Comparison) -> str:
    counts = {
        verdict: sum(1 for figure in comparison.figures if figure.verdict == verdict)
        for verdict in (WORSE, BETTER, SAME, UNCLEAR)
    }
    begin = "REGRESSION" if comparison.regressed else "No regression"
    counted = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    sentences = [f"{begin}: {counted}."]
    if counts[UNCLEAR]:
        sentences.append("Unclear: the rounds lie too far apart to tell; measure with more rounds.")
    sentences.append(
        f"Changes below {comparison.margin:.0%} do not count. If nothing changed, at most {comparison.level:.0%} of "
        "such comparisons call a figure worse."
    )
    return " ".join(sentences)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def _percent(ratio: float) -> str:
    """A ratio as a change; beyond a factor of ten nobody reads per cents."""
    if ratio > 10:
        return ">10 x"
    return f"{100 * (ratio - 1):+.1f} %"


def _listed(title: str, sentences: Sequence[str]) -> str:
    return "\n".join([title, *(_wrapped(f"- {sentence}") for sentence in sentences)])


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
