"""The strict recipe: what the format allows comes back, everything else is refused by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.bundle import Artifact, Shapes, Task, TensorSpec
from edgebert.bundle.recipe import Recipe, ShapeRange, check_recipe, dump_recipe, parse_recipe
from edgebert.bundle.schema import PRECISIONS
from edgebert.errors import ManifestError
from tests.bundle import samples

BUCKETS = (16, 64)
Place = tuple[Any, ...]


def static(inputs: tuple[TensorSpec, ...], buckets: tuple[int, ...] = BUCKETS, precision: str = "fp16") -> Recipe:
    """A recipe as the exporter writes it: one shape alone in each profile."""
    profiles = []
    for length in buckets:
        sizes: dict[int | str, int] = {"batch": 1, "length": length, "positions": 1}
        shapes = {spec.name: tuple(sizes.get(part, 0) or int(part) for part in spec.shape) for spec in inputs}
        profiles.append({name: ShapeRange(shape, shape, shape) for name, shape in shapes.items()})
    return Recipe(precision, 64, tuple(profiles))


def artifact(buckets: tuple[int, ...] = BUCKETS, precision: str = "fp16") -> Artifact:
    shapes = Shapes("buckets", buckets[-1], buckets)
    return replace(samples.artifact("onnx-fp32"), id=f"tensorrt-{precision}", precision=precision, shapes=shapes)


INPUTS = samples.manifest_for(samples.TASKS["fill-mask"]).inputs
GOOD: dict[str, Any] = json.loads(dump_recipe(static(INPUTS)))


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*place, key))


def at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def encode(document: Any) -> bytes:
    return json.dumps(document).encode()


def spoilt(place: Place, new: Any) -> bytes:
    document = copy.deepcopy(GOOD)
    at(document, place[:-1])[place[-1]] = new
    return encode(document)


def path(place: Place) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")


def read(data: bytes) -> Recipe:
    recipe = parse_recipe(data)
    check_recipe(recipe, artifact(), INPUTS)
    return recipe


PLACES = list(places(GOOD))
OBJECTS = [place for place in PLACES if isinstance(at(GOOD, place), dict)]
KEYS = [place for place in PLACES if place and isinstance(place[-1], str)]
NUMBERS = [place for place in PLACES if isinstance(at(GOOD, place), int) and place[0] == "profiles"]
RANGES = st.lists(st.tuples(*[st.integers(1, 2**31 - 1)] * 3).map(sorted), min_size=1, max_size=8).map(
    lambda sizes: ShapeRange(*(tuple(part) for part in zip(*sizes, strict=True)))
)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
RECIPES = st.builds(
    Recipe,
    st.sampled_from(PRECISIONS),
    st.integers(1, 10**8),
    st.lists(st.dictionaries(NAMES, RANGES, min_size=1, max_size=4), min_size=1, max_size=4).map(tuple),
)


@given(RECIPES)
def test_round_trip(recipe: Recipe) -> None:
    assert parse_recipe(dump_recipe(recipe)) == recipe


@given(
    st.sampled_from(sorted(samples.TASKS)),
    st.sets(st.integers(1, 4096), min_size=1, max_size=8).map(lambda lengths: tuple(sorted(lengths))),
    st.sampled_from(PRECISIONS),
)
def test_what_an_exporter_writes_is_accepted(task: str, buckets: tuple[int, ...], precision: str) -> None:
    inputs = samples.manifest_for(samples.TASKS[task]).inputs
    recipe = parse_recipe(dump_recipe(static(inputs, buckets, precision)))
    check_recipe(recipe, artifact(buckets, precision), inputs)


def test_ranges_are_accepted() -> None:
    ranged = ShapeRange((1, 1), (1, 32), (4, 64))
    inputs = samples.manifest().inputs
    check_recipe(Recipe("fp16", 1, ({spec.name: ranged for spec in inputs},)), artifact((64,)), inputs)


@pytest.mark.parametrize("place", OBJECTS, ids=path)
def test_an_unknown_key_is_refused(place: Place) -> None:
    document = copy.deepcopy(GOOD)
    at(document, place)["comment"] = copy.deepcopy(GOOD["profiles"][0]["input_ids"])
    with pytest.raises(ManifestError) as caught:
        read(encode(document))
    assert caught.value.message.startswith("recipe.json: ")
    assert "comment" in caught.value.message


@pytest.mark.parametrize("place", KEYS, ids=path)
def test_a_missing_key_is_refused(place: Place) -> None:
    document = copy.deepcopy(GOOD)
    del at(document, place[:-1])[place[-1]]
    # An input that is gone is named as what its profile has.
    named = path(place[:-1]) if len(place) == 3 else path(place)
    with pytest.raises(ManifestError) as caught:
        read(encode(document))
    assert caught.value.message.startswith(f"recipe.json: {named}: ")


@pytest.mark.parametrize("place", [place for place in PLACES if place], ids=path)
@pytest.mark.parametrize("new", [None, True, False, 1.0, "1", [], {}, float("nan"), -1, 0, 10**400], ids=repr)
def test_another_type_is_refused_where_it_stands(place: Place, new: Any) -> None:
    with pytest.raises(ManifestError) as caught:
        read(spoilt(place, new))
    assert caught.value.message.startswith(f"recipe.json: {path(place)}")
    assert len(caught.value.message) < 400


@given(st.sampled_from(NUMBERS), st.integers(1, 2**31 - 1) | st.integers(1, 100))
def test_another_size_is_refused_where_it_stands(place: Place, new: int) -> None:
    _, index, name, key, dimension = place
    if new == at(GOOD, place) or (name, key, dimension) == ("positions", "max", 1):
        return  # how many places of a text are read is free
    with pytest.raises(ManifestError) as caught:
        read(spoilt(place, new))
    named = caught.value.message.split(": ")[1]
    # At the value itself, at the opt that is no longer between, or where another input has the dimension as it was.
    between = path((*place[:3], "opt", dimension))
    others = [path(("profiles", index, other, key, dimension)) for other in GOOD["profiles"][index]]
    assert named in [path(place), between, *others]


@pytest.mark.parametrize("place", [("precision",), ("profiles",)], ids=path)
def test_another_recipe_is_refused(place: Place) -> None:
    new = {"precision": "fp32", "profiles": GOOD["profiles"][:1]}[place[0]]
    with pytest.raises(ManifestError, match=rf"^recipe\.json: {place[0]}: "):
        read(spoilt(place, new))


def test_profiles_in_another_order_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"profiles\[0\]\.input_ids\.max\[1\]: is 64; allowed: 16, the length"):
        read(spoilt(("profiles",), GOOD["profiles"][::-1]))


def profile_with(**changes: tuple[list[int], list[int], list[int]]) -> Recipe:
    profile = dict(static(INPUTS, (16,)).profiles[0])
    profile |= {name: ShapeRange(*map(tuple, shapes)) for name, shapes in changes.items()}
    return Recipe("fp16", 64, (profile,))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"input_ids": ([2, 16], [2, 16], [2, 16])}, r"input_ids\.min\[0\]: is 2; allowed: 1, the smallest batch"),
        ({"input_ids": ([1, 16, 1],) * 3}, r"input_ids\.max: has 3 dimensions; allowed: 2"),
        ({"attention_mask": ([1, 8], [1, 16], [1, 16])}, r"attention_mask\.min\[1\]: is 8; allowed: 16, .*'length'"),
        ({"positions": ([1, 1], [1, 1], [2, 1])}, r"positions\.max\[0\]: is 2; allowed: 1, .*'batch'"),
    ],
)
def test_shapes_that_no_run_can_have_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestError, match=rf"^recipe\.json: profiles\[0\]\.{said}"):
        check_recipe(parse_recipe(dump_recipe(profile_with(**changes))), artifact((16,)), INPUTS)


def test_a_fixed_dimension_is_fixed() -> None:
    inputs = (TensorSpec("input_ids", "int32", (1, "length")),)
    recipe = Recipe("fp16", 64, ({"input_ids": ShapeRange((1, 16), (1, 16), (2, 16))},))
    with pytest.raises(ManifestError, match=r"input_ids\.max\[0\]: is 2; allowed: 1"):
        check_recipe(recipe, artifact((16,)), inputs)


def test_an_artifact_without_lengths_has_no_recipe() -> None:
    dynamic = replace(artifact(), shapes=Shapes("dynamic", 64))
    with pytest.raises(ManifestError, match=r"profiles: has 2 items; allowed: .*it has none"):
        check_recipe(static(INPUTS), dynamic, INPUTS)


def test_another_version_is_named() -> None:
    with pytest.raises(ManifestError, match="has format 'edgebert-tensorrt/2'; this EdgeBERT reads"):
        parse_recipe(spoilt(("format",), "edgebert-tensorrt/2"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b" " * (1024 * 1024 + 1), "recipe.json has 1048577 bytes; a recipe has at most 1048576"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"\xff", "is not UTF-8 (byte 0)"),
        (b"", "is not JSON"),
        (b"[]", "is an array"),
        (encode(GOOD).replace(b'"precision"', b'"precision": "fp16", "precision"'), "the key stands there twice"),
        (encode(GOOD).replace(b'"input_ids"', b'"input_ids": {}, "input_ids"', 1), "profiles[0].input_ids: the key"),
        (spoilt(("profiles",), GOOD["profiles"] * 33), "has 66 items"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hostile_bytes(data: bytes, reason: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_recipe(data)
    assert reason in caught.value.message


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(ManifestError):
        parse_recipe(data)


@given(st.data())
def test_spoilt_bytes_raise_nothing_else(data: st.DataObject) -> None:
    good = dump_recipe(static(INPUTS))
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 8)))
    try:
        parsed = parse_recipe(good[:start] + data.draw(st.binary(max_size=8)) + good[end:])
    except ManifestError:
        return
    assert parse_recipe(dump_recipe(parsed)) == parsed


def test_the_task_of_the_sample_has_three_inputs() -> None:
    """So that what holds for every input is asked of positions, too."""
    assert isinstance(samples.TASKS["fill-mask"], Task)
    assert [spec.name for spec in INPUTS] == ["input_ids", "attention_mask", "positions"]
