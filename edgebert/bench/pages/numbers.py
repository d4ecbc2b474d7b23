"""How the page writes figures."""

from __future__ import annotations

from edgebert.bench.stats import Interval, Latency

NONE = "–"


def ms(value: float) -> str:
    """Three significant digits, which is more than the spread justifies; whole milliseconds from 100 on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def bounds(interval: Interval | None) -> str:
    """From where to where, in the unit of the figure."""
    return "" if interval is None else f"{ms(interval.low)} to {ms(interval.high)}"


def percentiles(latency: Latency) -> str:
    """A distribution in words."""
    interval = f" ({bounds(latency.p50_interval)})" if latency.p50_interval else ""
    return f"p50 {ms(latency.p50)} ms{interval}, p95 {ms(latency.p95)}, p99 {ms(latency.p99)}"


def megabytes(size: int | None) -> str:
    """Whole megabytes (a million bytes); of memory, where a tenth means nothing."""
    return NONE if size is None else f"{size / 1e6:,.0f}"


def metric(name: str) -> str:
    """What people call a metric, within a sentence."""
    return name.replace("_f1", " F1").replace("_", " ")
