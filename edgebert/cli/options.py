"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path, readable=False)
"""Any path; whoever opens it tells what is wrong, and what to do about it."""


def pins(command: Command) -> Command:
    """``--artifact``, ``--backend``, ``--precision``, ``--threads``: which artifact to run, and how."""
    for option in (
        click.option(
            "--threads", type=click.IntRange(1), metavar="N", help="Compute threads.  [default: one per physical core]"
        ),
        click.option("--precision", help="Only artifacts of this precision, e.g. int8."),
        click.option("--backend", help="Only artifacts for this backend, e.g. onnx."),
        click.option("--artifact", metavar="ID", help="Run this artifact, e.g. onnx-int8."),
    ):
        command = option(command)
    return command


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
