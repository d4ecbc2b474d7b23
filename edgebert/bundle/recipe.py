"""``recipe.json`` of a TensorRT artifact: how its ONNX file is built into a plan on the device.

A plan is bound to its GPU, its TensorRT and its platform, so that no bundle carries one. ``docs/bundle-format.md`` is
the normative text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

RECIPE_FORMAT = "edgebert-tensorrt/1"
RECIPE_NAME = "recipe.json"


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """The shapes that an input may have in one optimization profile, and the one that kernels are chosen for."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a plan is built.

    Attributes:
        precision: of the artifact. It is explicit in the ONNX file: TensorRT 10 and later build it as it stands
            (strong typing); 8.6, which cannot, is allowed the kernels of this precision.
        workspace_mb: memory that a kernel may use beside weights and activations, in 10^6 bytes.
        profiles: one optimization profile for each length of the artifact, ascending: input name -> its shapes.
    """

    precision: str
    workspace_mb: int
    profiles: tuple[Mapping[str, ShapeRange], ...]


def dump_recipe(recipe: Recipe) -> bytes:
    """The bytes of ``recipe.json``: UTF-8, indent 1, one newline at the end."""
    return (json.dumps({"format": RECIPE_FORMAT, **asdict(recipe)}, indent=1) + "\n").encode()
