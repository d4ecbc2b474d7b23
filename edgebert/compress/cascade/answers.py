"""What every artifact of a bundle that runs here answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle import Bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.errors import BackendError, PlanError, SelectionError
from edgebert.runtime import load
from edgebert.runtime.explanation import cannot_run
from edgebert.runtime.selection import rank

Logits = NDArray[np.float32]


def answer_all(
    bundle: Bundle, inputs: Sequence[Any], progress: Callable[[str], None]
) -> tuple[dict[str, Logits], dict[str, str]]:
    """The logits of each artifact, as a device computes them: in its backend, after its self-test.

    Args:
        bundle: a bundle for single-label text classification; of a cascade, the answers are those of the whole.
        inputs: inputs of the task.
        progress: called with a line before each artifact.

    Returns:
        Artifact -> float32 [inputs, labels]; and artifact -> why it does not run here.

    Raises:
        SelectionError: none runs here.
        BackendError: one that should run here fails.
    """
    answers: dict[str, Logits] = {}
    absent: dict[str, str] = {}
    for candidate in rank(bundle.manifest, describe_machine(), find_runtimes()):
        artifact = candidate.artifact.id
        if candidate.runtime is None:
            absent[artifact] = cannot_run(candidate).reason
            continue
        progress(f"{bundle.manifest.name}: {artifact}")
        try:
            answers[artifact] = _logits(bundle.path, artifact, inputs, bundle.manifest.task.labels)
        except (PlanError, SelectionError) as error:  # of a cascade: the other bundle has no such artifact
            absent[artifact] = error.message
    if not answers:
        listing = "".join(f"\n  {name}: {reason}" for name, reason in absent.items())
        raise SelectionError(
            f"No artifact of {bundle.manifest.name} runs on this machine:{listing}\n",
            hint="Convert for this machine's target as well, so that the cascade can be measured.",
        )
    return answers, absent


def _logits(path: Path, artifact: str, inputs: Sequence[Any], labels: Sequence[str]) -> Logits:
    place = {label: index for index, label in enumerate(labels)}
    try:
        with load(path, artifact=artifact, strict=True, tuned=False) as model:
            rows = np.empty((len(inputs), len(labels)), np.float32)
            for row, entries in zip(rows, model.stream(inputs, top_k=None, function_to_apply="none"), strict=True):
                for entry in entries:
                    row[place[entry["label"]]] = entry["score"]
    except SelectionError:
        raise
    except PlanError:
        raise
    except BackendError as error:
        raise BackendError(f"{path.name}, artifact {artifact}: {error.message}", hint=error.hint) from error
    return rows
