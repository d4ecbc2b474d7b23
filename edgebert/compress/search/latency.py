"""Latency of all points in one run: each round measures every point once, in an order that is drawn anew."""

from __future__ import annotations

import json
import random
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from edgebert.compress.search.budget import ROUNDS
from edgebert.compress.search.commands import Finished
from edgebert.compress.search.report import Measuring, PointLatency

REPETITIONS = 30
LENGTHS = (16, 64, 128)
"""Input lengths in tokens that are measured, as far as the checkpoint takes them."""

MAX_DRIFT = 0.15
"""How far apart the medians of the rounds may lie, as a share of their median, before a note says so."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one ``edgebert bench`` of one artifact gave: medians in milliseconds."""

    texts: float
    lengths: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Latencies:
    """What :func:`measure` gives: how it was done, the latency by point, and why a point has none."""

    measuring: Measuring
    points: Mapping[str, PointLatency]
    reasons: Mapping[str, str]


@dataclass(slots=True)
class _Rounds:
    trials: list[dict[str, Trial]] = field(default_factory=list)
    order: list[tuple[str, ...]] = field(default_factory=list)
    commands: list[Sequence[str]] = field(default_factory=list)


def bench_arguments(bundle: str, artifact: str, lengths: Sequence[int], texts: str | None, seed: int) -> list[str]:
    """The arguments of ``edgebert`` that measure an artifact once.

    Args:
        bundle: the bundle.
        artifact: its id.
        lengths: input lengths in tokens.
        texts: a file of texts, one a line; ``None`` for the built-in ones.
        seed: of the texts that are drawn; the same for all points of a round.
    """
    arguments = ["bench", bundle, "--artifact", artifact, "--rounds", "1", "--repetitions", str(REPETITIONS)]
    for length in lengths:
        arguments += ["--length", str(length)]
    arguments += [] if texts is None else ["--texts", texts]
    return [*arguments, "--seed", str(seed), "--quiet", "--json"]


def read_trial(done: Finished) -> Trial | str:
    """What a command of :func:`bench_arguments` measured, or why it did not."""
    if done.code:
        return done.reason
    try:
        [result] = json.loads(done.out)["artifacts"]
        measured: Any = result["measurements"]
        if measured is None:
            return str(result["reason"])
        return Trial(
            measured["texts_latency_ms"]["p50"],
            {int(length): latency["p50"] for length, latency in measured["latency_ms"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        return f"the benchmark's output cannot be read ({type(error).__name__})"


def lengths_for(max_length: int) -> list[int]:
    """The input lengths to measure for a model that takes so many tokens."""
    return [length for length in LENGTHS if length <= max_length] or [max_length]


def measure(
    points: Mapping[str, Callable[[int], list[str]]],
    first: str,
    run: Callable[[str, list[str]], Finished],
    *,
    texts: str,
    go_on: Callable[[int], bool],
) -> Latencies:
    """Measures points beside each other.

    Args:
        points: by name, the arguments of its command for a seed.
        first: the point that the others are compared with.
        run: runs a point's command.
        texts: what the texts are, for people.
        go_on: whether there is time for a round, given its number from 0.

    Returns:
        What was measured; of a point that failed in a round nothing but the reason.
    """
    rng = random.Random(0)
    rounds, reasons = _Rounds(), dict[str, str]()
    for number in range(ROUNDS):
        if not go_on(number):
            break
        order = tuple(name for name in rng.sample(list(points), len(points)) if name not in reasons)
        rounds.order.append(order)
        trials: dict[str, Trial] = {}
        for name in order:
            arguments = points[name](number)
            rounds.commands.append(arguments)
            trial = read_trial(run(name, arguments))
            if isinstance(trial, Trial):
                trials[name] = trial
            else:
                reasons[name] = trial
        rounds.trials.append(trials)
    measured = {
        name: summarize([trials[name] for trials in rounds.trials], [trials[first] for trials in rounds.trials])
        for name in points
        if name not in reasons and first not in reasons
    }
    commands = tuple(shlex.join(["edgebert", *arguments]) for arguments in rounds.commands)
    return Latencies(Measuring(tuple(rounds.order), REPETITIONS, texts, commands), measured, reasons)


def summarize(trials: Sequence[Trial], whole: Sequence[Trial]) -> PointLatency:
    """The latency of a point from its rounds, and those of the checkpoint in the same rounds."""
    return PointLatency(
        p50=median(trial.texts for trial in trials),
        rounds=tuple(trial.texts for trial in trials),
        ratio=median(trial.texts / other.texts for trial, other in zip(trials, whole, strict=True)),
        lengths={length: median(trial.lengths[length] for trial in trials) for length in trials[0].lengths},
    )


def drifts(latencies: Mapping[str, PointLatency]) -> list[str]:
    """A sentence for each point whose rounds lie too far apart."""
    found = []
    for name, latency in latencies.items():
        drift = (max(latency.rounds) - min(latency.rounds)) / latency.p50
        if drift > MAX_DRIFT:
            found.append(f"{name}: the medians of the rounds lie {drift:.0%} apart: do not trust its latency")
    return found
