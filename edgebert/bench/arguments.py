"""The arguments of a benchmark: what they mean for a bundle on this machine, and which are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgebert.assets import calibration_texts
from edgebert.bench.inputs import check_texts, text_of_length
from edgebert.bundle import Manifest
from edgebert.devices import Machine, find_runtimes
from edgebert.errors import InputError, SelectionError
from edgebert.runtime.selection import Candidate, rank
from edgebert.runtime.tasks import TaskHandler
from edgebert.runtime.tokenization import TextTokenizer


def check_count(name: str, value: object) -> None:
    """Raises ``InputError`` unless the value is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name}={value!r} is not allowed.", hint="Use a whole number of at least 1.")


def check_precision(precision: float | None, budget: float | None) -> None:
    """Raises ``InputError`` for a precision that is no share, or a budget that is no time."""
    if precision is not None and not 0 < precision < 1:
        raise InputError(
            f"precision={precision!r} is not allowed.", hint="Use a share above 0 and below 1, such as 0.02 for 2 %."
        )
    if budget is not None and not 0 < budget < float("inf"):
        raise InputError(f"budget={budget!r} is not allowed.", hint="Use seconds above 0.")


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list. Raises ``InputError`` where they are none."""
    if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
        raise InputError("texts must be a list of at least one str.", hint="Leave it out for the built-in texts.")
    return list(texts)


def choose_candidates(manifest: Manifest, machine: Machine, artifacts: Sequence[str] | None) -> list[Candidate]:
    """The artifacts with these ids, or all, in the order in which this machine would try them.

    Raises:
        SelectionError: the bundle has no such artifact.
        InputError: none is named.
    """
    ranked = rank(manifest, machine, find_runtimes())
    if artifacts is None:
        return ranked
    if not artifacts:
        raise InputError("artifacts is empty.", hint="Name at least one, or leave it out for all.")
    known = [artifact.id for artifact in manifest.artifacts]
    for artifact in artifacts:
        if artifact not in known:
            raise SelectionError(f"The bundle has no artifact {artifact!r}.", hint=f"It has: {', '.join(known)}.")
    return [candidate for candidate in ranked if candidate.artifact.id in artifacts]


def nothing_runs(name: str, candidates: Sequence[Candidate]) -> SelectionError:
    """The error for candidates of which none can run here, with the reason of each."""
    listing = "".join(f"\n  {candidate.artifact.id}: {candidate.reason}" for candidate in candidates)
    install = next((candidate.install for candidate in candidates if candidate.install), "")
    return SelectionError(
        f"No artifact to measure: none of {name} can run on this machine:{listing}\n",
        hint=f"Install a backend: {install}" if install else "Convert for this machine's target.",
    )


def longest_input(manifest: Manifest, candidates: Sequence[Candidate], lengths: Sequence[int]) -> int:
    """The longest input in tokens that all candidates take; ``lengths`` are checked against it.

    Raises:
        InputError: there are none, one is no count, or one is above the limit.
    """
    if not lengths:
        raise InputError("lengths is empty.", hint="Give at least one length in tokens.")
    limits = [candidate.artifact.shapes.max_length for candidate in candidates if candidate.runtime is not None]
    limit = min(manifest.tokenizer.max_length, *limits)
    for length in lengths:
        check_count("length", length)
        if length > limit:
            raise InputError(
                f"A length of {length} tokens is above the limit of {limit} of {manifest.name}.",
                hint=f"Use lengths of at most {limit}.",
            )
    return limit


def make_inputs(
    task: TaskHandler[Any], tokenizer: TextTokenizer, lengths: Sequence[int], texts: Sequence[str]
) -> dict[int, str]:
    """Length in tokens -> a text that makes an input of that length, shortest first.

    Raises:
        InputError: the task cannot make an input of a length, or of one of ``texts``, which are only checked here.
    """
    check_texts(task, tokenizer, texts)
    built_in = calibration_texts()
    return {length: text_of_length(task, tokenizer, built_in, length) for length in sorted(set(lengths))}
