"""What a plan is bound to."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields

from edgebert.bundle import limits
from edgebert.bundle.fields import Field
from edgebert.bundle.recipe import Recipe, dump_recipe
from edgebert.bundle.schema import Artifact

PLAN_FORMAT = "edgebert-plan/1"
"""How EdgeBERT builds plans and keeps them; another number where a plan built before must not be run any more."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PlanKey:
    """Everything that a plan is bound to: when any of it changes, the plan is another one.

    Attributes:
        artifact: :func:`artifact_digest` of what the plan is built from.
        recipe: :func:`recipe_digest` of how it is built.
        gpu: the GPU's name.
        compute_capability: of the GPU, (major, minor).
        tensorrt: the version of TensorRT.
        cuda_driver: the newest CUDA that the driver serves, such as ``12.6``.
        cuda_runtime: the version of the CUDA runtime library, such as ``12.6``.
        system: as in :class:`edgebert.devices.Machine`.
        architecture: as in :class:`edgebert.devices.Machine`.
        format: :data:`PLAN_FORMAT`.
    """

    artifact: str
    recipe: str
    gpu: str
    compute_capability: tuple[int, int]
    tensorrt: str
    cuda_driver: str
    cuda_runtime: str
    system: str
    architecture: str
    format: str = PLAN_FORMAT

    def to_json(self) -> str:
        """Canonical JSON: one line of ASCII, keys sorted, no spaces. Equal keys give equal texts."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 lower-case hexadecimal digits: the plan's name in the cache."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    def differences(self, other: PlanKey) -> list[str]:
        """The names of the parts in which two keys differ."""
        return [field.name for field in fields(self) if getattr(self, field.name) != getattr(other, field.name)]


def artifact_digest(artifact: Artifact) -> str:
    """SHA-256 over name in the artifact's folder, size and SHA-256 of each of its files, in the order of names.

    So it is the same for the same files in another bundle, or under another artifact id.
    """
    prefix = f"artifacts/{artifact.id}/"
    files = sorted((file.path.removeprefix(prefix), file.size, file.sha256) for file in artifact.files)
    return hashlib.sha256(json.dumps(files).encode("ascii")).hexdigest()


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 of the recipe's canonical bytes: its profiles with their inputs sorted by name."""
    profiles = tuple({name: profile[name] for name in sorted(profile)} for profile in recipe.profiles)
    canonical = Recipe(recipe.precision, recipe.workspace_mb, profiles)
    return hashlib.sha256(dump_recipe(canonical)).hexdigest()


def parse_key(place: Field) -> PlanKey:
    """The key that stands in the header of a plan.

    Raises:
        ManifestError: it breaks the format.
    """
    field = place.object([field.name for field in fields(PlanKey)])
    digits = "64 lower-case hexadecimal digits"
    major, minor = (number.integer(0, 999) for number in field["compute_capability"].array(2, 2))
    return PlanKey(
        artifact=field["artifact"].match(_SHA256, digits),
        recipe=field["recipe"].match(_SHA256, digits),
        gpu=field["gpu"].argument(),
        compute_capability=(major, minor),
        tensorrt=field["tensorrt"].text(limits.MAX_NAME),
        cuda_driver=field["cuda_driver"].text(limits.MAX_NAME),
        cuda_runtime=field["cuda_runtime"].text(limits.MAX_NAME),
        system=field["system"].text(limits.MAX_NAME),
        architecture=field["architecture"].text(limits.MAX_NAME),
        format=field["format"].text(limits.MAX_NAME),
    )
