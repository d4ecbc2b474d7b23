"""``schema.json`` says of the JSON what the JSON is."""

from __future__ import annotations

import copy
import dataclasses
import json
from importlib import resources
from typing import Any

import pytest

from edgebert.bench import BenchmarkReport, stats
from edgebert.bench import report as data
from tests.bench.json_schema import faults

SCHEMA: dict[str, Any] = json.loads((resources.files("edgebert.bench") / "schema.json").read_text(encoding="utf-8"))
CLASSES = {
    "report": data.BenchmarkReport, "artifact": data.ArtifactResult, "measurements": data.Measurements,
    "plan": data.Plan, "course": data.Course, "evaluation": data.Evaluation, "executed": data.Executed,
    "resident": data.Resident, "energy": data.Energy, "thermal_state": data.ThermalState,
    "thermal_round": data.ThermalRound, "score": data.Score, "latency": stats.Latency, "rounds": stats.Rounds,
    "interval": stats.Interval, "machine": data.Machine, "facts": data.EngineFacts, "execution": data.Execution,
}  # fmt: skip
ADDED = {
    "report": {"format", "protocol", "noisy"},
    "measurements": {"tokenization_share", "texts_tokenization_share"},
}
"""What follows from the fields and stands in the JSON as well."""


def test_a_real_report_follows_it(report: BenchmarkReport) -> None:
    assert list(faults(json.loads(report.to_json()), SCHEMA, SCHEMA)) == []


@pytest.mark.parametrize("name", CLASSES)
def test_it_knows_every_field_and_no_other(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(CLASSES[name])}
    assert set(SCHEMA["$defs"][name]["properties"]) == fields | ADDED.get(name, set())
    assert set(SCHEMA["$defs"][name]["required"]) == fields | ADDED.get(name, set())


def test_every_part_of_it_is_one_of_ours() -> None:
    assert set(SCHEMA["$defs"]) == set(CLASSES)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (["format"], "edgebert-bench/1", "is not 'edgebert-bench/2'"),
        (["created"], "yesterday", "does not match"),
        (["artifacts", 0, "status"], "fine", "is none of"),
        (["artifacts", 0, "bytes"], -1, "is below 0"),
        (["artifacts", 0, "bytes"], True, "is no integer"),
        (["artifacts", 0, "measurements", "latency_ms", "16", "samples_ms"], [[]], "none of the forms fits"),
        (["untold", "luck"], "nobody knows", "none of"),
        (["noise"], "quiet", "is no array"),
    ],
)
def test_what_is_wrong_is_found(report: BenchmarkReport, path: list[Any], value: Any, fault: str) -> None:
    whole = copy.deepcopy(json.loads(report.to_json()))
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert any(fault in one for one in faults(whole, SCHEMA, SCHEMA))


def test_numbers_are_finite(report: BenchmarkReport) -> None:
    broken = dataclasses.replace(report, course=dataclasses.replace(report.course, seconds=float("nan")))
    with pytest.raises(ValueError, match="JSON compliant"):
        broken.to_json()
