"""``edgebert tune``, for real: processes that measure a tiny bundle, and what `predict` makes of it then."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgebert.bundle import open_bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.runtime.ranking_key import key_of
from edgebert.runtime.ranking_store import store_ranking
from edgebert.runtime.selection import Configuration
from tests.cli.command import Result
from tests.runtime.rankings import entry, ranking

Edgebert = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgebert" / "tuning"


@pytest.fixture
def kept(bundle: Path) -> Path:
    """A ranking of the bundle that puts OpenVINO first, as if `tune` had made it."""
    opened = open_bundle(bundle)
    key = key_of(opened, describe_machine(), find_runtimes())
    entries = (entry(Configuration("openvino-fp32", 1)), entry(Configuration("onnx-fp32", 1), 3.5))
    return store_ranking(opened, ranking(key, entries=entries, refused=()))


def test_what_is_measured_is_used_from_then_on(edgebert: Edgebert, bundle: Path, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "texts.txt").write_text("a charming film\nthe plot is dull\n\ngreat\n")
    done = edgebert("tune", bundle, "--threads", "1", "--texts", "texts.txt", "--objective", "throughput")
    assert (done.code, done.messages.count("Warning")) == (0, 0)
    assert "tiny: 3 given texts" in done.out
    assert "for throughput: texts/s of Model.stream" in done.out
    assert "refused" not in done.out
    assert "reference: onnx-fp32, 1 thread" in done.messages
    assert "rung 2: " in done.messages
    [path] = folder.iterdir()
    assert str(path) in done.out

    shown = edgebert("tune", "--show", bundle, "--json")
    first, second = json.loads(shown.out)["ranking"]["entries"]
    assert {first["configuration"]["artifact"], second["configuration"]["artifact"]} == {"onnx-fp32", "openvino-fp32"}
    assert first["value"] > second["value"] > 0
    assert {first["processes"], second["processes"]} == {5}
    assert (first["checked"], first["texts"]) == (3, 3)

    told = edgebert("predict", bundle, "A text.", "--explain")
    assert told.code == 0
    assert f"tiny: {first['configuration']['artifact']} on " in told.messages
    assert "threads 1" in told.messages
    assert "for throughput:" in told.messages


def test_a_ranking_is_shown_and_forgotten(edgebert: Edgebert, bundle: Path, kept: Path) -> None:
    shown = edgebert("tune", "--show", bundle)
    assert shown.code == 0
    assert shown.out.startswith("tiny: measured 2026-01-31T12:00:00Z for latency: ms from text to answer")
    assert "\n1  openvino-fp32        1  all      2.50  2.25  2.75     3     64       60\n" in shown.out
    assert edgebert("predict", bundle, "A text.", "--explain").messages.startswith("tiny: openvino-fp32 on ")
    gone = edgebert("tune", "--forget", bundle)
    assert (gone.code, gone.out) == (0, "tiny: 1 ranking removed\n")
    assert not kept.exists()
    assert edgebert("predict", bundle, "A text.", "--explain").messages.startswith("tiny: onnx-fp32 on ")
    assert edgebert("tune", "--show", bundle).out == "tiny: no ranking for this device and software\n"
    assert json.loads(edgebert("tune", "--forget", bundle, "--json").out) == {"removed": 0}
    assert json.loads(edgebert("tune", "--show", bundle, "--json").out) == {"ranking": None, "stale": "", "fault": ""}


def test_one_for_other_software_is_told(edgebert: Edgebert, bundle: Path) -> None:
    opened = open_bundle(bundle)
    key = replace(key_of(opened, describe_machine(), find_runtimes()), edgebert="0.0.9")
    store_ranking(opened, ranking(key, entries=(entry(Configuration("onnx-fp32", 1)),), refused=()))
    assert "is not used: edgebert: 0.0.9 then, " in edgebert("tune", "--show", bundle).out


def test_a_spoilt_one_is_a_warning_of_predict(edgebert: Edgebert, bundle: Path, kept: Path) -> None:
    kept.write_bytes(kept.read_bytes()[:-9])
    told = edgebert("predict", bundle, "A text.")
    assert told.code == 0
    assert told.messages.startswith(f"Warning: The ranking of tiny is passed over: '{kept}': the ranking is not JSON")
    assert str(kept) in edgebert("tune", "--show", bundle).out


@pytest.mark.parametrize("budget", ["-1", "soon", "5d"])
def test_a_budget_that_is_no_time_is_wrong_usage(edgebert: Edgebert, bundle: Path, budget: str) -> None:
    assert budget in edgebert("tune", bundle, "--budget", budget).usage_error()


def test_a_budget_of_nothing_is_refused(edgebert: Edgebert, bundle: Path) -> None:
    assert "budget=0.0 is not allowed" in edgebert("tune", bundle, "--budget", "0s").refusal()


def test_show_and_forget_exclude_each_other(edgebert: Edgebert, bundle: Path) -> None:
    assert "exclude each other" in edgebert("tune", bundle, "--show", "--forget").usage_error()


def test_a_budget_too_short_is_refused_and_leaves_nothing(edgebert: Edgebert, bundle: Path, folder: Path) -> None:
    refused = edgebert("tune", bundle, "--budget", "0.01s", "--quiet").refusal()
    assert "A budget of 0.01 s is too short" in refused
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("action", [(), ("--show",), ("--forget",)])
def test_what_is_no_bundle_is_refused(edgebert: Edgebert, tmp_path: Path, action: tuple[str, ...]) -> None:
    assert "is not a bundle" in edgebert("tune", *action, tmp_path).refusal()


def test_texts_that_are_not_there_are_refused(edgebert: Edgebert, bundle: Path) -> None:
    assert "'none.txt' cannot be read" in edgebert("tune", bundle, "--texts", "none.txt").refusal()
