"""Options that several verbs share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path, readable=False)
"""Any path; whoever opens it tells what is wrong, and what to do about it."""

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """The callback of an option that takes a time, in seconds or with a unit: ``90``, ``90s``, ``30m``, ``2h``."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh]?)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no time such as 90s, 30m or 2h.", context, option)
    return float(found[1]) * _UNITS[found[2]]


def pins(command: Command) -> Command:
    """``--artifact``, ``--backend``, ``--precision``, ``--threads``: which artifact to run, and how."""
    for option in (
        click.option(
            "--threads",
            type=click.IntRange(1),
            metavar="N",
            help="Compute threads.  [default: as tuned, the profile's, or one per physical core]",
        ),
        click.option("--precision", help="Only artifacts of this precision, e.g. int8."),
        click.option("--backend", help="Only artifacts for this backend, e.g. onnx."),
        click.option("--artifact", metavar="ID", help="Run this artifact, e.g. onnx-int8."),
    ):
        command = option(command)
    return command


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
