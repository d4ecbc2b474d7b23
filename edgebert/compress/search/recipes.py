"""The commands that make a point, and that convert it: what ``edgebert`` is given, in the folder of the search."""

from __future__ import annotations

from edgebert.compress.search.grid import CHECKPOINT, Point
from edgebert.compress.search.inputs import Given
from edgebert.devices import describe_machine

_SAVE_EVERY = 200
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def bundle_of(name: str) -> str:
    """The bundle of a point."""
    return f"{name}.edgebert"


def making(point: Point, given: Given, *, steps: int = 0, out: str = "") -> list[str]:
    """The arguments that make the checkpoint of a point.

    Args:
        point: any but the checkpoint itself.
        given: what the search works on.
        steps: of its training, where it has one.
        out: the directory to make; by default the point's name.
    """
    arguments = [point.verb, given.source if point.parent == CHECKPOINT else point.parent, "-o", out or point.name]
    if point.verb == "drop-layers":
        return [*arguments, *point.options]
    arguments += _files("--texts" if point.verb == "trim-vocab" else "--data", given)
    arguments += point.options
    if point.verb == "trim-vocab":
        return [*arguments, "--held-out", given.evaluation, "--quiet"]
    if not point.trains:
        return [*arguments, "--quiet"]
    if point.verb == "prune":
        arguments += _files("--recover", given)
    arguments += ["--max-steps", str(steps), "--precision", _precision(), "--save-every", str(_SAVE_EVERY)]
    return [*arguments, "--resume", "--quiet"]


def converting(point: Point, given: Given) -> list[str]:
    """The arguments that convert the checkpoint of a point, and print the evidence."""
    source = given.source if point.name == CHECKPOINT else point.name
    arguments = ["convert", source, "-o", bundle_of(point.name), "--target", given.target]
    return [*arguments, "--eval", given.evaluation, "--drop-failing", "--json", "--quiet"]


def _files(option: str, given: Given) -> list[str]:
    return [part for path in given.data for part in (option, path)]


def _precision() -> str:
    """bfloat16 where the processor computes in it, which takes half the time."""
    return "bf16" if _BFLOAT16 & describe_machine().isa else "fp32"
