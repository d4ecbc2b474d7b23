"""The grid: which smaller checkpoints are tried, in which order, and what a step of their training costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgebert.compress.distillation.student import Sizes
from edgebert.errors import CheckpointError

CHECKPOINT = "checkpoint"
"""The name of the point that nothing is done to."""

TRIM = "trim"
"""The name of the point whose vocabulary is trimmed to the corpus, which the others begin with."""

TRIMMED_TASKS = ("text-classification", "fill-mask")
"""The tasks whose training files are texts, which ``trim-vocab`` reads; CoNLL and SQuAD files are not."""


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint to try.

    Attributes:
        name: also of its folder.
        title: what it is, for people.
        parent: the name of the point that it is made of.
        verb: the verb of ``edgebert`` that makes it; empty for the checkpoint itself.
        options: what the verb is given beside the checkpoint, the output and the data.
        sizes: its sizes.
        trains: whether it is trained, in as many steps as there is time for.
    """

    name: str
    title: str
    parent: str
    verb: str
    options: tuple[str, ...]
    sizes: Sizes
    trains: bool = False


def sizes_of(config: Mapping[str, Any]) -> Sizes:
    """The sizes of a DistilBERT with this configuration."""
    return Sizes(config["n_layers"], config["dim"], config["n_heads"], config["hidden_dim"], None)


def whole(sizes: Sizes) -> Point:
    """The point that nothing is done to."""
    return Point(CHECKPOINT, "the checkpoint", "", "", (), sizes)


def trimmed(sizes: Sizes, task: str) -> list[Point]:
    """The points with a smaller vocabulary: the corpus's tokens, and those that occur four times in it."""
    if task not in TRIMMED_TASKS:
        return []
    return [
        Point(TRIM, "vocabulary of the data", CHECKPOINT, "trim-vocab", ("--min-count", "1"), sizes),
        Point("trim-4", "tokens that occur 4 times in the data", CHECKPOINT, "trim-vocab", ("--min-count", "4"), sizes),
    ]


def untrained(sizes: Sizes, base: str) -> list[Point]:
    """The points that are made of ``base`` without training: a layer less, and a quarter of the feed-forward less.

    The layer is the one a third of the way up: of the six of a DistilBERT for SST-2 it was missed least.
    """
    points = []
    if sizes.layers > 2:
        keep = [layer for layer in range(sizes.layers) if layer != sizes.layers // 3]
        options = ("--keep", ",".join(map(str, keep)))
        title = _titled(base, f"{len(keep)} layers, not trained")
        points.append(
            Point(f"{_prefix(base)}drop-1", title, base, "drop-layers", options, replace(sizes, layers=len(keep)))
        )
    units = 3 * sizes.hidden_dim // 4
    if units:
        options = ("--hidden-dim", str(units))
        title = _titled(base, f"feed-forward {units}, not trained")
        points.append(
            Point(f"{_prefix(base)}ffn-{units}", title, base, "prune", options, replace(sizes, hidden_dim=units))
        )
    return points


def trained(sizes: Sizes, base: str) -> list[Point]:
    """The points that are trained to answer as ``base`` does, the likeliest first.

    Half of the layers, as in DistilBERT itself (Sanh et al. 2019, arXiv 1910.01108); with half of the feed-forward as
    well; a third of the layers; two thirds of the heads, and so of the width; two thirds of the layers.
    """
    return list(_trained(sizes, base))


def _trained(sizes: Sizes, base: str) -> Iterator[Point]:
    half = max(1, sizes.layers // 2)
    seen = {sizes.layers}
    if half not in seen:
        seen.add(half)
        yield _distilled(base, f"layers-{half}", f"{half} layers", replace(sizes, layers=half))
    units = sizes.hidden_dim // 2
    if units:
        text = f"{half} layers, feed-forward {units}"
        yield _distilled(base, f"layers-{half}-ffn-{units}", text, replace(sizes, layers=half, hidden_dim=units))
    third, more = max(1, sizes.layers // 3), 2 * sizes.layers // 3
    if third not in seen:
        seen.add(third)
        yield _distilled(base, f"layers-{third}", f"{third} layers", replace(sizes, layers=third))
    heads = 2 * sizes.heads // 3
    if heads:
        narrow = replace(sizes, heads=heads, dim=sizes.dim // sizes.heads * heads)
        title = _titled(base, f"{heads} heads, width {narrow.dim}")
        yield Point(f"{_prefix(base)}heads-{heads}", title, base, "prune", ("--heads", str(heads)), narrow, trains=True)
    if more and more not in seen:
        yield _distilled(base, f"layers-{more}", f"{more} layers", replace(sizes, layers=more))


def step_cost(teacher: Sizes, student: Sizes) -> float:
    """Multiplications of a training step for each token: the teacher's answer, the student's, and twice that back."""
    return _multiplications(teacher) + 3 * _multiplications(student)


def check_sizes(sizes: Sizes, source: str) -> None:
    """Raises ``CheckpointError`` for a model of which nothing smaller is in the grid."""
    if not trained(sizes, CHECKPOINT):
        raise CheckpointError(
            f"{source}: one layer, one head and a feed-forward of one unit leave nothing to try.",
            hint="Give a larger checkpoint.",
        )


def _multiplications(sizes: Sizes) -> float:
    return sizes.layers * (4.0 * sizes.dim**2 + 2.0 * sizes.dim * sizes.hidden_dim)


def _distilled(base: str, name: str, title: str, sizes: Sizes) -> Point:
    given = {"--layers": sizes.layers, "--dim": sizes.dim, "--heads": sizes.heads, "--hidden-dim": sizes.hidden_dim}
    options = tuple(part for option, value in given.items() for part in (option, str(value)))
    return Point(f"{_prefix(base)}{name}", _titled(base, title), base, "distill", options, sizes, trains=True)


def _prefix(base: str) -> str:
    return "" if base == CHECKPOINT else f"{base}-"


def _titled(base: str, title: str) -> str:
    return title if base == CHECKPOINT else f"trimmed, {title}"
