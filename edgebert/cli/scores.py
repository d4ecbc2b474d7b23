"""What is told of a checkpoint that was made smaller: whether it was trained, and how well it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click


def trained(recovery: Mapping[str, Any] | None) -> str:
    """A sentence on the training, if there was one."""
    return "Nothing was trained." if recovery is None else f"Trained {recovery['steps']:,} steps."


def say_scores(name: str, measured: Mapping[str, Any] | None, recovery: Mapping[str, Any] | None) -> None:
    """Prints a line for each metric.

    Args:
        name: what was done to the checkpoint, such as ``"pruned"``.
        measured: the metrics before any training, of the whole (``teacher``) and the smaller one (``student``).
        recovery: the steps and the metrics of the training, if there was one.
    """
    if measured is None:
        return
    for metric, value in measured["student"].items():
        after = f", recovered {recovery['evaluation']['student'][metric]:.4f}" if recovery else ""
        click.echo(f"{metric}: checkpoint {measured['teacher'][metric]:.4f}, {name} {value:.4f}{after}")
