"""From what was measured to the figures that are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.rounds import Measured
from harness.texts import Texts

Figures = dict[str, Any]


def summarize(found: Measured, texts: Texts) -> Figures:
    """The figures of one peer; times in the unit of their name, memory in bytes."""
    classes = texts.places()
    return {
        "facts": found.facts,
        "first_answer_ms": middle(found.first_answer_ms),
        "peak_rss_bytes": None
        if None in found.peak_rss_bytes
        else middle([float(v or 0) for v in found.peak_rss_bytes]),
        "latency_ms": latency(found.each_ms),
        "latency_ms_by_tokens": {
            name: {"texts": len(places), **latency([[row[place] for place in places] for row in found.each_ms])}
            for name, places in classes.items()
        },
        "texts_per_second": middle(
            [len(labels) / seconds for labels, seconds in zip(found.bulk_labels, found.bulk_seconds, strict=True)]
        ),
        "batch_size": found.batch_size,
        "batch_size_trials_texts_per_second": {str(size): rate for size, rate in found.trials.items()},
        "answers": answers(found, texts.labels),
        "idle_cpu_seconds": found.idle_cpu_seconds,
    }


def latency(rounds: Sequence[Sequence[float]]) -> Figures:
    """Percentiles over all rounds, and the median of each."""
    p50, p95 = np.percentile([value for row in rounds for value in row], (50, 95))
    return {"p50": float(p50), "p95": float(p95), "round_p50": [float(np.median(row)) for row in rounds]}


def middle(values: Sequence[float]) -> Figures:
    """The median of a figure that each round gives once, and all of them in order."""
    return {"median": float(np.median(values)), "values": list(values)}


def answers(found: Measured, right: Sequence[str]) -> Figures:
    """How good the answers are, and whether a text's answer depends on its neighbours.

    ``bulk_accuracy`` is over all answers of all rounds; ``labels_that_differ`` counts the texts that got another label
    in bulk than alone at least once.
    """
    count = len(right)
    differ = {
        place % count
        for labels in found.bulk_labels
        for place, label in enumerate(labels)
        if label != found.alone[place % count]
    }
    bulk = [label == right[place % count] for labels in found.bulk_labels for place, label in enumerate(labels)]
    alone = sum(label == answer for label, answer in zip(found.alone, right, strict=True))
    return {
        "texts": count,
        "right_alone": alone,
        "accuracy_alone": alone / count,
        "accuracy_bulk": float(np.mean(bulk)),
        "labels_that_differ": len(differ),
        "labels_that_change_between_passes": len(found.unstable),
    }


def ratios(peer: Figures, reference: Figures) -> Figures:
    """How much better the reference is; above 1 it is the faster or the smaller one.

    Latency, start and memory are peer / reference, throughput reference / peer. Each ratio is taken within a round, of
    its medians; ``median`` is over the rounds, ``range`` the least and the largest.
    """
    pairs = {
        "latency": (peer["latency_ms"]["round_p50"], reference["latency_ms"]["round_p50"]),
        "throughput": (reference["texts_per_second"]["values"], peer["texts_per_second"]["values"]),
        "first_answer": (peer["first_answer_ms"]["values"], reference["first_answer_ms"]["values"]),
    }
    if peer["peak_rss_bytes"] is not None and reference["peak_rss_bytes"] is not None:
        pairs["peak_rss"] = (peer["peak_rss_bytes"]["values"], reference["peak_rss_bytes"]["values"])
    return {name: _spread([a / b for a, b in zip(*pair, strict=True)]) for name, pair in pairs.items()}


def best(figures: Mapping[str, Figures], names: Sequence[str]) -> dict[str, str]:
    """Of the named peers that were measured, the one that is best in each figure."""
    known = [name for name in names if name in figures]
    if not known:
        return {}
    return {
        "latency": min(known, key=lambda name: figures[name]["latency_ms"]["p50"]),
        "throughput": max(known, key=lambda name: figures[name]["texts_per_second"]["median"]),
        "first_answer": min(known, key=lambda name: figures[name]["first_answer_ms"]["median"]),
    }


def _spread(values: Sequence[float]) -> Figures:
    return {"median": float(np.median(values)), "range": [min(values), max(values)]}
