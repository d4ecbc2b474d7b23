"""Are a configuration's answers right? What is compared, and how much may differ.

A device has no checkpoint to compare with. It has the most precise artifact that runs, and the evidence in the
manifest: how often each artifact decided as the float32 checkpoint did on the build host, and by how much an output was
off at most.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isnan, lgamma, log, log1p
from typing import Any

from edgebert.bundle import Artifact, Task

ROUNDING = 1e-4
"""Numbers that are so close differ by float32 rounding: where they decide otherwise, it was a tie."""

_SLACK = 0.005
"""A share of different decisions that is allowed beyond the evidence: texts here are not those of the build host."""

_CASCADE_SLACK = 0.02
"""The same for a cascade: an answer near its threshold may come from either model."""

_ROOM = 2.0
"""How many times the largest difference that the evidence saw is allowed: the texts here are others."""

_UNLIKELY = 1e-3
"""More different decisions than would come about by chance so rarely are too many."""

_MAX_NUMBERS = 256
"""Of a text's numbers, such as an embedding for each token, so many are kept, evenly spaced."""

_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "text-classification": {"top_k": None, "function_to_apply": "none"},
    "token-classification": {"ignore_labels": []},
    "fill-mask": {"top_k": 1},
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answers to one text, to be compared.

    Attributes:
        decisions: what it decided, a text for each thing decided: a label, a token's tag, an answer and its place.
        numbers: the logits of a classifier by label; else scores or vectors.
    """

    decisions: tuple[str, ...]
    numbers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the answers of two configurations differ.

    Attributes:
        texts: how many were compared.
        decisions: how many things were decided.
        different: how many of them otherwise, ties not counted.
        worst: the largest difference of a number, where the decisions are the same; NaN where one is.
    """

    texts: int
    decisions: int
    different: int
    worst: float


def answer_options(task: Task) -> Mapping[str, object]:
    """Options with which a task tells what is compared."""
    return _OPTIONS.get(task.name, {})


def read_answer(task: Task, result: Any) -> Answer:  # noqa: ANN401 (each task has its own results)
    """What is compared of a result that was asked for with :func:`answer_options`."""
    decisions: list[str] = []
    numbers: list[float] = []
    if task.name == "text-classification":
        scores = {entry["label"]: float(entry["score"]) for entry in result}
        numbers = [scores[label] for label in task.labels]
        if task.problem_type == "multi_label_classification":
            decisions = [f"{label}: {score > 0}" for label, score in scores.items()]
            decisions.sort()
        elif task.problem_type == "single_label_classification":
            decisions = [max(scores, key=scores.__getitem__)]
    else:
        _collect(result, decisions, numbers)
    step = -(-len(numbers) // _MAX_NUMBERS) or 1
    return Answer(tuple(decisions), tuple(numbers[::step]))


def compare(own: Mapping[Hashable, Answer], other: Mapping[Hashable, Answer]) -> Comparison:
    """Compare what two configurations answered to the texts that both have, by their keys."""
    shared = own.keys() & other.keys()
    decisions = different = 0
    worst = 0.0
    for key in shared:
        one, two = own[key], other[key]
        decisions += max(len(one.decisions), len(two.decisions))
        difference = _difference(one.numbers, two.numbers)
        if one.decisions == two.decisions:
            worst = _larger(worst, difference)
        elif not difference <= ROUNDING:
            different += _changed(one.decisions, two.decisions)
    return Comparison(len(shared), decisions, different, worst)


def why_wrong(found: Comparison, artifact: Artifact, reference: Artifact, *, cascade: bool) -> str:
    """Why answers are not those of the reference, judged by the evidence of both artifacts; empty when they are.

    Decisions may differ as often as both artifacts' did from the checkpoint's, by the binomial distribution; numbers
    by twice the largest difference of the evidence, or twice the tolerance of the self-test where that is more.
    """
    share = sum(1 - one.evidence.label_agreement for one in (artifact, reference))
    share = min(share + (_CASCADE_SLACK if cascade else _SLACK), 1.0)
    most = plausible(found.decisions, share)
    if found.different > most:
        return (
            f"{found.different} of {found.decisions} decisions on {found.texts} texts differ from those of "
            f"{reference.id}; by its evidence at most {most} would"
        )
    if cascade:  # an answer that comes from the other model has another score
        return ""
    limit = sum(_ROOM * max(one.tolerance, one.evidence.max_abs_diff) for one in (artifact, reference))
    if not found.worst <= limit:
        return (
            f"an answer differs from that of {reference.id} by {found.worst:.3g}; by its evidence at most "
            f"{limit:.3g} would"
        )
    return ""


def why_unsteady(found: Comparison, artifact: Artifact, base: str) -> str:
    """Why answers are not those of the same artifact when it is run otherwise; empty when they are.

    No decision may differ but for ties, and no number by more than the self-test's tolerance.

    Args:
        found: how they differ from those of the other configuration.
        artifact: the artifact of both.
        base: how the other one runs, such as ``"1 thread"``.
    """
    if found.different:
        return f"its answers change: {found.different} of {found.decisions} decisions are others than with {base}"
    if not found.worst <= artifact.tolerance:
        return f"its answers change: one differs by {found.worst:.3g} from that with {base}"
    return ""


def plausible(count: int, share: float) -> int:
    """The most successes that ``count`` tries of probability ``share`` have, but for one case in a thousand."""
    if share >= 1 or count == 0:
        return count
    below = 0.0
    for successes in range(count):
        ways = lgamma(count + 1) - lgamma(successes + 1) - lgamma(count - successes + 1)
        below += exp(ways + successes * log(share) + (count - successes) * log1p(-share))
        if below >= 1 - _UNLIKELY:
            return successes
    return count


def _collect(result: Any, decisions: list[str], numbers: list[float]) -> None:  # noqa: ANN401
    """Floats are numbers; what else stands in a dict was decided."""
    if isinstance(result, float):
        numbers.append(result)
    elif isinstance(result, Mapping):
        rest = {}
        for name, value in result.items():
            if isinstance(value, float):
                numbers.append(value)
            elif isinstance(value, list) and value and all(isinstance(item, float) for item in value):
                numbers += value
            else:
                rest[name] = value
        decisions.append(json.dumps(rest, sort_keys=True, default=str))
    elif isinstance(result, Sequence) and not isinstance(result, str):
        for item in result:
            _collect(item, decisions, numbers)


def _difference(one: Sequence[float], two: Sequence[float]) -> float:
    if len(one) != len(two):
        return float("inf")
    worst = 0.0
    for own, other in zip(one, two, strict=True):
        worst = _larger(worst, abs(own - other))
    return worst


def _larger(one: float, two: float) -> float:
    """The larger of two numbers, NaN being the largest: max() would lose it."""
    return one if isnan(one) or two <= one else two


def _changed(one: Sequence[str], two: Sequence[str]) -> int:
    if len(one) != len(two):
        return max(len(one), len(two))
    return sum(own != other for own, other in zip(one, two, strict=True))
