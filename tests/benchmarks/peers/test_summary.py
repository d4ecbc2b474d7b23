"""The figures: percentiles, answers that depend on neighbours, ratios within a round."""

from __future__ import annotations

import pytest
from harness.rounds import Measured
from harness.summary import best, ratios, summarize
from harness.texts import Texts

TEXTS = Texts(["a", "b", "c"], ["GOOD", "GOOD", "BAD"], [16, 17, 70], "")


def measured(scale: float = 1.0) -> Measured:
    return Measured(
        first_answer_ms=[100 * scale, 300 * scale, 200 * scale],
        peak_rss_bytes=[1000, 1200],
        batch_size=8,
        trials={8: 10.0},
        alone=["GOOD", "BAD", "BAD"],
        each_ms=[[1 * scale, 2 * scale, 9 * scale], [2 * scale, 4 * scale, 9 * scale]],
        bulk_seconds=[2.0 * scale, 3.0 * scale],
        bulk_labels=[["GOOD", "BAD", "BAD"] * 2, ["GOOD", "BAD", "BAD", "BAD", "GOOD", "BAD"]],
    )


def test_latency_is_told_overall_and_by_length() -> None:
    figures = summarize(measured(), TEXTS)
    assert figures["latency_ms"]["p50"] == 3.0 and figures["latency_ms"]["round_p50"] == [2.0, 4.0]
    by_tokens = figures["latency_ms_by_tokens"]
    assert {name: (one["texts"], one["p50"]) for name, one in by_tokens.items()} == {
        "1-16": (1, 1.5),
        "17-32": (1, 3.0),
        "65-512": (1, 9.0),
    }
    assert figures["first_answer_ms"]["median"] == 200 and figures["peak_rss_bytes"]["median"] == 1100
    assert figures["texts_per_second"]["values"] == [3.0, 2.0]


def test_labels_that_depend_on_neighbours_are_counted_once_per_text() -> None:
    answers = summarize(measured(), TEXTS)["answers"]
    assert (answers["right_alone"], answers["accuracy_alone"]) == (2, pytest.approx(2 / 3))
    assert answers["labels_that_differ"] == 2  # the first text once, the second once, in the second round
    assert answers["accuracy_bulk"] == pytest.approx(8 / 12)


def test_ratios_are_above_one_where_the_reference_is_better() -> None:
    slow, fast = summarize(measured(scale=3.0), TEXTS), summarize(measured(), TEXTS)
    found = ratios(slow, fast)
    for figure in ("latency", "throughput", "first_answer"):
        assert found[figure]["median"] == pytest.approx(3) and found[figure]["range"] == pytest.approx([3, 3])
    assert found["peak_rss"]["median"] == 1
    fast["peak_rss_bytes"] = None
    assert "peak_rss" not in ratios(slow, fast)


def test_the_best_peer_is_found_per_figure() -> None:
    figures = {"slow": summarize(measured(2.0), TEXTS), "fast": summarize(measured(), TEXTS)}
    figures["slow"]["first_answer_ms"] = {"median": 1.0, "values": [1.0]}
    found = best(figures, ["slow", "fast", "absent"])
    assert found == {"latency": "fast", "throughput": "fast", "first_answer": "slow"}
    assert best(figures, ["absent"]) == {}
