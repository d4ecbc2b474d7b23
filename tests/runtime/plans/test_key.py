"""A plan's key: any part changed is another plan."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.bundle import Artifact, FileRef
from edgebert.bundle.recipe import Recipe, ShapeRange
from edgebert.runtime.plans import PlanKey, artifact_digest, recipe_digest
from tests.bundle import samples
from tests.runtime.plans.keys import KEYS, PARTS, key


def test_every_part_is_asked() -> None:
    assert set(PARTS) == {field.name for field in fields(PlanKey)}


@pytest.mark.parametrize("name", PARTS)
@given(st.data())
def test_another_part_is_another_digest(name: str, data: st.DataObject) -> None:
    one = data.draw(KEYS)
    other = replace(one, **{name: data.draw(PARTS[name].filter(lambda value: value != getattr(one, name)))})
    assert one.digest() != other.digest()
    assert one.differences(other) == [name]


@given(KEYS, KEYS)
def test_equal_digests_are_equal_keys(one: PlanKey, other: PlanKey) -> None:
    assert (one.digest() == other.digest()) is (one == other)
    assert one.digest() == replace(one).digest()


@given(KEYS)
def test_the_json_is_canonical(one: PlanKey) -> None:
    text = one.to_json()
    assert text.isascii()
    assert "\n" not in text
    parsed = json.loads(text)
    assert list(parsed) == sorted(asdict(one))
    assert PlanKey(**{**parsed, "compute_capability": tuple(parsed["compute_capability"])}) == one


def artifact(artifact_id: str, *names: str) -> Artifact:
    files = (samples.file_ref(f"artifacts/{artifact_id}/{name}", name.encode()) for name in names)
    return replace(samples.artifact("onnx-fp32"), id=artifact_id, files=tuple(files))


def test_the_artifacts_digest_is_that_of_its_files() -> None:
    one = artifact("tensorrt-fp16", "model.onnx", "recipe.json")
    assert artifact_digest(one) == artifact_digest(artifact("other", "recipe.json", "model.onnx"))
    assert artifact_digest(one) == artifact_digest(replace(one, tolerance=0.5))


@pytest.mark.parametrize("part", ["path", "size", "sha256"])
def test_another_file_is_another_artifact(part: str) -> None:
    one = artifact("tensorrt-fp16", "model.onnx", "recipe.json")
    new = {"path": "artifacts/tensorrt-fp16/x", "size": 7, "sha256": "0" * 64}[part]
    changed: FileRef = replace(one.files[0], **{part: new})
    assert artifact_digest(replace(one, files=(changed, one.files[1]))) != artifact_digest(one)
    assert artifact_digest(replace(one, files=one.files[1:])) != artifact_digest(one)


def test_the_recipes_digest_is_that_of_what_it_says() -> None:
    small, large = ShapeRange((1, 16), (1, 16), (1, 16)), ShapeRange((1, 64), (1, 64), (1, 64))
    one = Recipe("fp16", 64, ({"input_ids": small, "attention_mask": small},))
    same = Recipe("fp16", 64, ({"attention_mask": small, "input_ids": small},))
    assert recipe_digest(one) == recipe_digest(same)
    others = [
        replace(one, precision="fp32"),
        replace(one, workspace_mb=65),
        replace(one, profiles=({"input_ids": large, "attention_mask": small},)),
        replace(one, profiles=one.profiles * 2),
    ]
    assert len({recipe_digest(recipe) for recipe in (one, *others)}) == 5


def test_a_part_of_the_sample_key_is_not_empty() -> None:
    assert all(asdict(key()).values())
