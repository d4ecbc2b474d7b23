"""Keys for the tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from edgebert.runtime.plans import PLAN_FORMAT, PlanKey

_DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
_VERSIONS = st.lists(st.integers(0, 999), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
_PARTS = st.sampled_from(["Linux", "Darwin", "x86_64", "aarch64"])

PARTS: dict[str, st.SearchStrategy[Any]] = {
    "artifact": _DIGESTS,
    "recipe": _DIGESTS,
    "gpu": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    "compute_capability": st.tuples(st.integers(0, 20), st.integers(0, 9)),
    "tensorrt": _VERSIONS,
    "cuda_driver": _VERSIONS,
    "cuda_runtime": _VERSIONS,
    "system": _PARTS,
    "architecture": _PARTS,
    "format": st.integers(1, 99).map(lambda number: f"edgebert-plan/{number}"),
}
"""Every part of a key -> what it may be."""

KEYS = st.builds(PlanKey, **PARTS)


def key(**changes: Any) -> PlanKey:
    """The key of a plan on an Orin, with some parts changed."""
    parts = {
        "artifact": "a" * 64,
        "recipe": "b" * 64,
        "gpu": "Orin",
        "compute_capability": (8, 7),
        "tensorrt": "10.3.0.30",
        "cuda_driver": "12.6",
        "cuda_runtime": "12.6",
        "system": "Linux",
        "architecture": "aarch64",
        "format": PLAN_FORMAT,
    }
    return PlanKey(**{**parts, **changes})
