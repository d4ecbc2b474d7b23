"""The recipe among the files of an artifact."""

from __future__ import annotations

from pathlib import Path

from edgebert.bundle.recipe import RECIPE_NAME, Recipe, parse_recipe
from edgebert.bundle.schema import Artifact
from edgebert.errors import BackendError


def read_recipe(files: list[Path], artifact: Artifact) -> Recipe:
    """The recipe of ``artifact``, among its ``files``, which must have been verified.

    Raises:
        BackendError: there is none, or it is for other lengths.
        ManifestError: it breaks its format.
    """
    found = next((file for file in files if file.name == RECIPE_NAME), None)
    if found is None:
        raise BackendError(f"Artifact {artifact.id} has no {RECIPE_NAME}.", hint="Convert the checkpoint again.")
    recipe = parse_recipe(found.read_bytes())
    if len(recipe.profiles) != len(artifact.shapes.buckets):
        raise BackendError(
            f"{RECIPE_NAME} of {artifact.id} has {len(recipe.profiles)} profiles for "
            f"{len(artifact.shapes.buckets)} lengths.",
            hint="Convert the checkpoint again.",
        )
    return recipe
