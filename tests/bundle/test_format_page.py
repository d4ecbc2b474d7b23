"""The normative page says what the code does: its example parses, and it names every key, value and limit."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from edgebert.bundle import Manifest, dump_manifest, limits, parse_manifest, schema

PAGE = (Path(__file__).parents[2] / "docs/bundle-format.md").read_text(encoding="utf-8")
CLASSES = [kind for kind in vars(schema).values() if isinstance(kind, type) and is_dataclass(kind)]


def example() -> bytes:
    blocks = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    return str(blocks[0]).encode()


def test_the_example_is_a_manifest() -> None:
    manifest = parse_manifest(example())
    assert [artifact.id for artifact in manifest.artifacts] == ["onnx-int8", "tflite-fp32"]
    # Its keys stand in the canonical order, so that the canonical form differs in white space and numbers only.
    assert json.dumps(json.loads(example())) == json.dumps(json.loads(dump_manifest(manifest)))


def test_the_example_shows_every_backend_shape_policy() -> None:
    assert {artifact.shapes.policy for artifact in parse_manifest(example()).artifacts} == {"dynamic", "buckets"}


@pytest.mark.parametrize("kind", CLASSES, ids=[kind.__name__ for kind in CLASSES])
def test_every_class_has_its_table(kind: type) -> None:
    keys = [field.name for field in fields(kind)]
    tables = [re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for table in PAGE.split("\n\n")]
    assert keys in tables
    assert Manifest in CLASSES


@pytest.mark.parametrize(
    "value",
    [
        *(schema.FORMAT, *schema.TASKS, *schema.PROBLEM_TYPES, *schema.BACKENDS, *schema.PRECISIONS),
        *(*schema.DTYPES, *schema.ARCHITECTURES),
    ],
)
def test_every_value_is_named(value: str) -> None:
    assert f'`"{value}"`' in PAGE


@pytest.mark.parametrize("name", [name for name in vars(limits) if name.startswith("MAX_")])
def test_every_limit_is_named(name: str) -> None:
    value = getattr(limits, name)
    special = {"MAX_DIMENSION": "2³¹−1", "MAX_GOLDEN_BYTES": "64 MiB"}
    assert any(
        re.search(rf"(?<![0-9,]){said}(?![0-9,]*[0-9])", PAGE) for said in (special.get(name, f"{value:,}"), f"{value}")
    )
