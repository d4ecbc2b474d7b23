"""``tune`` on a device that is made up; ``tests/cli/test_tune.py`` runs it for real."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edgebert.bench.tuning import TuningReport, render, tune
from edgebert.bundle import open_bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.errors import BundleError, EdgebertError, InputError, OutputError, SelectionError
from edgebert.runtime.ranking_store import find_ranking
from edgebert.runtime.selection import Configuration
from tests.bench.conftest import ELSEWHERE
from tests.bench.tuning.device import TEXTS, Device, right

ONNX, OPENVINO, TFLITE = (Configuration(name, 2) for name in ("onnx-fp32", "openvino-fp32", "tflite-fp32"))
FEWER = Configuration("tflite-fp32", 2, (8, 64))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("edgebert.bench.tuning.pipeline.load_average", lambda: (0.0, 0.0, 0.0))
    return tmp_path / "cache" / "edgebert" / "tuning"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    made = Device({ONNX: 9.0, OPENVINO: 3.25, TFLITE: 6.0, FEWER: 7.0}, broken={TFLITE: "it crashed"})
    monkeypatch.setattr("edgebert.bench.tuning.pipeline.run_job", made.run)
    return made


def tuned(bundle: Path, **changes: Any) -> TuningReport:
    return tune(bundle, **{"texts": TEXTS, "threads": [2], **changes})


def test_the_ranking_is_kept_and_told(bundle_path: Path, device: Device, folder: Path) -> None:
    report = tuned(bundle_path)
    ranking = report.ranking
    assert [entry.configuration for entry in ranking.entries] == [OPENVINO, FEWER, ONNX]
    assert [(one.configuration, one.reason) for one in ranking.refused] == [(TFLITE, "it crashed")]
    assert (ranking.objective, ranking.texts, ranking.reference) == ("latency", "given", ONNX)
    bundle = open_bundle(bundle_path)
    assert find_ranking(bundle, describe_machine(), find_runtimes()).ranking == ranking
    assert [Path(report.path)] == list(folder.iterdir())

    text = report.table()
    assert "tiny: 60 given texts" in text
    assert re.search(r"^ *1  openvino-fp32 +2  all +3\.25 +3\.25 +3\.25 ", text, re.MULTILINE)
    assert "refused: tflite-fp32, 2 threads: it crashed" in text
    assert f"{ELSEWHERE}: cannot run: needs onnxruntime >= 999" in text
    assert "compared with those of onnx-fp32, 2 threads" in text
    assert report.path in text
    assert "NOISY" not in text
    assert all(len(line) <= 120 for line in render(ranking).splitlines())

    data = json.loads(report.to_json())
    assert data["ranking"]["entries"][0]["configuration"] == {"artifact": "openvino-fp32", "threads": 2, "buckets": []}
    assert data["ranking"]["entries"][0]["value"] == ranking.entries[0].value == 3.25
    assert list(data["absent"]) == [ELSEWHERE]


def test_built_in_texts_are_the_default(bundle_path: Path, device: Device) -> None:
    from edgebert.assets import calibration_texts

    device.answers = lambda configuration, text: right(configuration, "text 1")
    report = tuned(bundle_path, texts=None)
    assert report.ranking.texts == "built-in"
    assert {text for done in device.jobs for text in done.texts} <= set(calibration_texts())


def test_a_busy_machine_is_told(bundle_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.bench.tuning.pipeline.load_average", lambda: (99.0, 0.0, 0.0))
    report = tuned(bundle_path)
    assert "99.00" in report.noise[0]
    assert "NOISY" in report.table()


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"objective": "speed"}, InputError, "objective='speed'"),
        ({"budget": 0.0}, InputError, "budget=0.0"),
        ({"budget": float("nan")}, InputError, "budget=nan"),
        ({"budget": 0.3}, InputError, "too short"),
        ({"threads": [0]}, InputError, "threads=0"),
        ({"threads": [True]}, InputError, "threads=True"),
        ({"texts": []}, InputError, "texts must be a list"),
        ({"texts": "one"}, InputError, "texts must be a list"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_kept(
    bundle_path: Path, device: Device, folder: Path, changes: dict[str, Any], error: type[EdgebertError], said: str
) -> None:
    with pytest.raises(error) as caught:
        tuned(bundle_path, **changes)
    assert said in caught.value.message
    assert caught.value.hint
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, device: Device) -> None:
    with pytest.raises(BundleError):
        tuned(tmp_path)


def test_where_nothing_can_run_all_are_named(
    bundle_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.bench.tuning.pipeline.find_runtimes", list)
    with pytest.raises(SelectionError, match="tflite-fp32: needs ai-edge-litert"):
        tuned(bundle_path)


def test_what_is_not_to_be_kept_is_not_measured(bundle_path: Path, device: Device, folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(OutputError, match="others may write to it"):
        tuned(bundle_path)
    assert device.jobs == []


@pytest.mark.parametrize("objective", ["energy", "memory"])
def test_what_cannot_be_measured_here_is_told_at_once(
    bundle_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    from edgebert.bench.energy import Unavailable

    monkeypatch.setattr("edgebert.bench.tuning.pipeline.open_meter", lambda: Unavailable("there is no meter"))
    monkeypatch.setattr("edgebert.bench.tuning.pipeline.peak_rss_bytes", lambda: None)
    with pytest.raises(InputError, match=f"{objective.capitalize()} cannot be measured here: ") as caught:
        tuned(bundle_path, objective=objective)
    assert "objective" in caught.value.hint
    assert device.jobs == []
