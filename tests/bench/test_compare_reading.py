"""Reports read back from their files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebert.bench.comparison import compare
from edgebert.bench.pages import to_html
from edgebert.bench.reading import read_report
from edgebert.errors import DataError
from tests.bench.reports import artifact, crashed, report
from tests.convert.pages import Page


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def document() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(report(artifact("onnx-int8")).to_json())
    return read


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = report(artifact("onnx-int8"), artifact("onnx-fp32", accuracy=None, energy=None), crashed("tflite-int8"))
    assert read_report(write(tmp_path / "a.json", written.to_json())) == written


def test_keys_that_a_report_does_not_have_are_not_read(tmp_path: Path) -> None:
    content = {**document(), "comment": "after the fan was cleaned"}
    assert read_report(write(tmp_path / "a.json", json.dumps(content))).bundle == "sst2"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON, or was cut off"),
        (report(artifact("onnx-int8")).to_json()[:5000], "not JSON, or was cut off"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "not a report"),
        (b'{"format": "edgebert-gpu/1"}', "not a report"),
        (b'{"format": 3}', "not a report"),
        (b'{"format": "edgebert-bench/1"}', "does not hold the single measurements"),
        (b'{"format": "edgebert-bench/99"}', "another version of EdgeBERT"),
        (b'{"format": "edgebert-bench/2"}', "bundle is missing"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = write(tmp_path / "a.json", content)
    with pytest.raises(DataError, match=reason) as refused:
        read_report(path)
    assert str(path) in refused.value.message and refused.value.hint


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.json", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_report(path)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("bundle", 3, "bundle is not a string"),
        ("plan", None, "plan is not an object"),
        ("artifacts", {}, "artifacts is not a list"),
        ("load_average_before", [1.0], "load_average_before has 1 values and not 3"),
        ("created", True, "created is not a string"),
        ("bundle_bytes", 10**200, "bundle_bytes is larger than anything that is measured"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, place: str, value: object, reason: str) -> None:
    path = write(tmp_path / "a.json", json.dumps({**document(), place: value}))
    with pytest.raises(DataError, match=reason):
        read_report(path)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a JSON document."""
    yield at
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*at, key))


SMALL = report(artifact("onnx-int8", rounds=2, repetitions=2), crashed("onnx-fp32"), rounds=2)
PLACES = [at for at in places(json.loads(SMALL.to_json())) if at]
VALUES = (None, 0, -1, 1e308, 1e-308, "", "<b>\"'", [], {}, True, 10**30, 0.5, [1], {"a": 1})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PLACES), st.sampled_from(VALUES))
def test_a_report_with_any_value_changed_is_refused_or_has_a_page(tmp_path: Path, at: Any, value: object) -> None:
    changed = json.loads(SMALL.to_json())
    parent = changed
    for key in at[:-1]:
        parent = parent[key]
    parent[at[-1]] = value
    try:
        read = read_report(write(tmp_path / "a.json", json.dumps(changed)))
        assert compare(SMALL, read, anyway=True).to_json()
    except DataError as error:
        assert error.hint
        return
    Page(to_html(read))
    assert read.table()


def test_figures_that_are_none_are_refused(tmp_path: Path) -> None:
    text = json.dumps(document())
    for wrong, reason in (("NaN", "not a finite number"), ('"9"', "not a number"), ("1e999", "not a finite number")):
        found = document()
        found["artifacts"][0]["measurements"]["latency_ms"]["16"]["p50"] = "HERE"
        path = write(tmp_path / "a.json", json.dumps(found).replace('"HERE"', wrong))
        with pytest.raises(DataError, match=rf"artifacts\[0\].measurements.latency_ms\[16\].p50 is {reason}"):
            read_report(path)
    path = write(tmp_path / "a.json", text.replace('"latency_ms": {"16"', '"latency_ms": {"sixteen"', 1))
    with pytest.raises(DataError, match="no whole number"):
        read_report(path)
