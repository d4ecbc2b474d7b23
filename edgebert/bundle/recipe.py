"""``recipe.json`` of a TensorRT artifact: how its ONNX file is built into a plan on the device.

A plan is bound to its GPU, its TensorRT and its platform, so that no bundle carries one. ``docs/bundle-format.md`` is
the normative text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from edgebert.bundle import limits
from edgebert.bundle.fields import Document, Field, read_json
from edgebert.bundle.schema import PRECISIONS, Artifact, TensorSpec
from edgebert.errors import ManifestError

RECIPE_FORMAT = "edgebert-tensorrt/1"
RECIPE_NAME = "recipe.json"

_DOCUMENT = Document(RECIPE_NAME, "a recipe", limits.MIB)
_KEYS = ("format", "precision", "workspace_mb", "profiles")


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


def parse_recipe(data: bytes) -> Recipe:
    """Reads and checks the bytes of ``recipe.json``; :func:`check_recipe` compares the recipe with the manifest.

    Args:
        data: the whole file, UTF-8 JSON.

    Raises:
        ManifestError: the bytes break the format; the message names the JSON path of the fault, the reason and what is
            allowed there.
    """
    root = read_json(data, _DOCUMENT)
    _check_version(root)
    field = root.object(_KEYS)
    return Recipe(
        precision=field["precision"].choice(PRECISIONS),
        workspace_mb=field["workspace_mb"].integer(1, limits.MAX_MEMORY_MB),
        profiles=tuple(map(_profile, field["profiles"].array(1, limits.MAX_BUCKETS))),
    )


def check_recipe(recipe: Recipe, artifact: Artifact, inputs: Sequence[TensorSpec]) -> None:
    """Refuses a recipe that is not one for this artifact.

    Its precision must be the artifact's. It must have one profile for each bucket, in their order, and so ascending by
    length; each for exactly the manifest's inputs with their fixed dimensions, for batches from 1 on, and for inputs
    of up to its bucket's length.

    Args:
        recipe: what :func:`parse_recipe` gave.
        artifact: the artifact among whose files the recipe is.
        inputs: of the manifest.

    Raises:
        ManifestError: the recipe is another's; the message names the JSON path in ``recipe.json``.
    """
    if recipe.precision != artifact.precision:
        raise _at("precision").fault(f"is '{recipe.precision}'", f"'{artifact.precision}', as of {artifact.id}")
    buckets = artifact.shapes.buckets
    if len(recipe.profiles) != len(buckets):
        allowed = f"one for each length of {artifact.id}: {', '.join(map(str, buckets)) or 'it has none'}"
        raise _at("profiles").fault(f"has {len(recipe.profiles)} items", allowed)
    for index, (profile, bucket) in enumerate(zip(recipe.profiles, buckets, strict=True)):
        place = f"profiles[{index}]"
        wanted = {spec.name: spec for spec in inputs}
        if set(profile) != set(wanted):
            raise _at(place).fault(f"has the inputs {', '.join(sorted(profile))}", ", ".join(sorted(wanted)))
        free: dict[str, tuple[int, int, int]] = {}
        for name in wanted:
            _check_shapes(f"{place}.{name}", profile[name], wanted[name], bucket, free)


def _at(path: str) -> Field:
    return Field(None, path, _DOCUMENT)


def _check_version(root: Field) -> None:
    # Before the keys, as in the manifest: another version may have others.
    version = root.value.get("format", RECIPE_FORMAT) if isinstance(root.value, dict) else RECIPE_FORMAT
    if isinstance(version, str) and re.fullmatch(r"edgebert-tensorrt/[0-9]{1,9}", version) and version != RECIPE_FORMAT:
        raise ManifestError(
            f"{RECIPE_NAME}: format: the recipe has format '{version}'; this EdgeBERT reads '{RECIPE_FORMAT}'.",
            hint="Install an EdgeBERT that reads it, or convert the checkpoint again with this one.",
        )
    Field(version, "format", _DOCUMENT).choice((RECIPE_FORMAT,))


def _profile(place: Field) -> dict[str, ShapeRange]:
    return {name: _range(shapes) for name, shapes in place.entries(1, limits.MAX_TENSORS).items()}


def _range(place: Field) -> ShapeRange:
    field = place.object(("min", "opt", "max"))
    low, best, high = (_shape(field[key]) for key in ("min", "opt", "max"))
    for key, shape in (("opt", best), ("max", high)):
        if len(shape) != len(low):
            raise field[key].fault(f"has {len(shape)} dimensions", f"as many as min, {len(low)}")
    for index, (least, usual, most) in enumerate(zip(low, best, high, strict=True)):
        if not least <= usual <= most:
            place = _at(f"{field['opt'].path}[{index}]")
            raise place.fault(f"is {usual} between min {least} and max {most}", "min <= opt <= max")
    return ShapeRange(low, best, high)


def _shape(place: Field) -> tuple[int, ...]:
    return tuple(item.integer(1, limits.MAX_DIMENSION) for item in place.array(1, limits.MAX_RANK))


def _check_shapes(
    place: str, shapes: ShapeRange, spec: TensorSpec, bucket: int, free: dict[str, tuple[int, int, int]]
) -> None:
    if len(shapes.max) != len(spec.shape):
        raise _at(f"{place}.max").fault(f"has {len(shapes.max)} dimensions", f"{len(spec.shape)}, as the manifest says")
    for index, dimension in enumerate(spec.shape):
        found = (shapes.min[index], shapes.opt[index], shapes.max[index])
        low, _, high = found
        if dimension == "length" and high != bucket:
            raise _at(f"{place}.max[{index}]").fault(f"is {high}", f"{bucket}, the length of this profile")
        if index == 0 and low != 1:
            raise _at(f"{place}.min[0]").fault(f"is {low}", "1, the smallest batch")
        # Dimensions of one name have one value at run time, so that TensorRT refuses ranges that differ.
        wanted = (dimension,) * 3 if isinstance(dimension, int) else free.setdefault(dimension, found)
        for key, size, fixed in zip(("min", "opt", "max"), found, wanted, strict=True):
            if size != fixed:
                raise _at(f"{place}.{key}[{index}]").fault(f"is {size}", f"{fixed}, the size of '{dimension}' here")
