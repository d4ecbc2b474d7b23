"""TensorRT plans that this device has built: what each is bound to, and where they are kept.

A plan is code for one GPU, one TensorRT and one platform. It is built on the device that runs it, kept for its owner
alone, and never taken from elsewhere. Nothing here imports TensorRT.
"""

from edgebert.runtime.plans.cache import PlanCache
from edgebert.runtime.plans.folder import cache_folder
from edgebert.runtime.plans.found import Entry, Fault, Found, Refusal
from edgebert.runtime.plans.key import PLAN_FORMAT, PlanKey, artifact_digest, recipe_digest
from edgebert.runtime.plans.recipe_file import read_recipe

__all__ = [
    "PLAN_FORMAT",
    "Entry",
    "Fault",
    "Found",
    "PlanCache",
    "PlanKey",
    "Refusal",
    "artifact_digest",
    "cache_folder",
    "read_recipe",
    "recipe_digest",
]
