"""How what a board says is compared with what this machine says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

CLOSE = {"fp32": 1e-4, "fp16": 1e-4, "int8": 2e-2}
"""How far outputs and scores may be apart. A number that rounds to another of 256 steps moves int8 outputs by a little;
the wrong kernel of the planted tests moves them by 1 and more."""


def assert_same_answers(theirs: dict[str, Any], ours: dict[str, Any], precision: str) -> None:
    """Equal labels, texts and places; scores and outputs within :data:`CLOSE`, and outputs that are not all alike.

    Args:
        theirs: an answer of ``board.py`` on a board.
        ours: that of this machine to the same.
        precision: of the artifact.
    """
    assert without_scores(theirs["results"]) == without_scores(ours["results"])
    scores, expected = (list(scores_in(answer["results"])) for answer in (theirs, ours))
    assert len(scores) == len(expected) > 0
    np.testing.assert_allclose(scores, expected, rtol=0, atol=CLOSE[precision])
    assert theirs["outputs"].keys() == ours["outputs"].keys()
    for name, rows in ours["outputs"].items():
        assert np.ptp(np.concatenate(theirs["outputs"][name])) > 0.1, f"{name} is flat"
        for values, reference in zip(theirs["outputs"][name], rows, strict=True):
            np.testing.assert_allclose(values, reference, rtol=0, atol=CLOSE[precision], err_msg=name)


def without_scores(result: Any) -> Any:
    """The result with ``None`` in place of every number that is not whole."""
    if isinstance(result, dict):
        return {key: without_scores(value) for key, value in result.items()}
    if isinstance(result, list):
        return [without_scores(value) for value in result]
    return None if isinstance(result, float) else result


def scores_in(result: Any) -> Iterator[float]:
    """Every number in the result that is not whole."""
    if isinstance(result, float):
        yield result
    elif isinstance(result, (dict, list)):
        for value in result.values() if isinstance(result, dict) else result:
            yield from scores_in(value)
