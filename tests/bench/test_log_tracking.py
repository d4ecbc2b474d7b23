"""Reports as runs of a tracker, with stand-ins for the trackers' libraries, which no test installs."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgebert.bench.tracking import TRACKERS, make_record, open_tracker
from edgebert.bundle import open_bundle
from edgebert.errors import IntegrityError, OutputError
from tests.bench.reports import artifact, crashed, report


class Wandb(types.ModuleType):
    """What is called of ``wandb`` 0.31: ``init``, and of its run ``log``, ``save``, ``finish``."""

    def __init__(self, folder: Path) -> None:
        super().__init__("wandb")
        self.dir = str(folder / "offline-run-1" / "files")
        Path(self.dir).mkdir(parents=True)
        self.offline, self.url = True, None
        self.started: dict[str, Any] = {}
        self.metrics: dict[str, float] = {}
        self.saved: list[str] = []
        self.ended: int | None = None
        self.broken = ""

    def init(self, **options: Any) -> Wandb:
        self.started = options
        return self

    def log(self, metrics: dict[str, float]) -> None:
        if self.broken:
            raise RuntimeError(self.broken)
        self.metrics = metrics

    def save(self, path: str, *, base_path: str, policy: str) -> None:
        assert base_path == self.dir and policy == "now"
        self.saved.append(path)

    def finish(self, exit_code: int = 0) -> None:
        self.ended = exit_code


class Mlflow(types.ModuleType):
    """What is called of ``mlflow`` 3.17."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.experiment = self.run_name = ""
        self.params: dict[str, Any] = {}
        self.metrics: dict[str, float] = {}
        self.files: dict[str, bytes] = {}
        self.status = ""

    def set_experiment(self, name: str) -> None:
        self.experiment = name

    @contextmanager
    def start_run(self, run_name: str) -> Iterator[Any]:
        self.run_name = run_name
        try:
            yield types.SimpleNamespace(info=types.SimpleNamespace(run_id="0123abcd"))
        except BaseException:
            self.status = "FAILED"
            raise
        self.status = "FINISHED"

    def log_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def log_metrics(self, metrics: dict[str, float]) -> None:
        self.metrics = metrics

    def log_artifact(self, path: str) -> None:
        self.files[Path(path).name] = Path(path).read_bytes()

    def get_tracking_uri(self) -> str:
        return "sqlite:///mlflow.db"


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Wandb:
    module = Wandb(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return module


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    module = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    for name in ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_the_record_holds_every_artifact_that_was_measured_and_what_it_ran_on() -> None:
    shown = report(artifact("onnx-int8"), artifact("onnx-fp32"), crashed("tflite-int8"))
    record = make_record(shown, None)
    assert {name.partition("/")[0] for name in record.metrics} == {"onnx-int8", "onnx-fp32"}
    measured = shown.artifacts[0].measurements
    assert measured is not None and measured.latency_ms[32].p50_interval is not None
    figures = {name.partition("/")[2]: value for name, value in record.metrics.items() if name.startswith("onnx-int8")}
    assert figures["latency_32_tokens_p50_ms"] == measured.latency_ms[32].p50
    assert figures["latency_32_tokens_p50_low_ms"] == measured.latency_ms[32].p50_interval.low
    assert figures["latency_texts_p99_ms"] == measured.texts_latency_ms.p99
    assert figures["texts_per_second"] == measured.texts_per_second.median
    assert figures["start_up_total_ms"] == measured.total_ms.median
    assert figures["peak_rss_bytes"] == measured.peak_rss_bytes
    assert figures["accuracy"] == pytest.approx(774 / 872)
    assert figures["joules_per_inference"] > 0
    assert all(isinstance(value, float) for value in record.metrics.values())
    assert record.config["machine.model"] == "A CPU" and record.config["versions.edgebert"] == "0.1.0"
    assert record.config["tflite-int8.status"] == "crashed" and record.config["onnx-int8.threads"] == 2
    assert set(record.files) == {"benchmark.json", "benchmark.html"}
    assert record.files["benchmark.json"] == shown.to_json()


def test_the_names_are_such_as_trackers_take() -> None:
    record = make_record(report(), None)
    # MLflow: alphanumerics, underscores, dashes, periods, spaces, colons and slashes; values of at most 6,000.
    for name in [*record.metrics, *record.config]:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./")
        assert len(name) <= 250
    assert all(len(str(value)) <= 6000 for value in record.config.values())


def test_the_evidence_of_the_bundle_is_attached(bundle_path: Path, tmp_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    record = make_record(report(artifact("onnx-int8")), bundle)
    assert record.files["evidence.json"] == (bundle_path / "evidence.json").read_bytes()


def test_evidence_that_was_altered_is_refused(bundle_path: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy.edgebert"
    copied.mkdir()
    for path in bundle_path.rglob("*"):
        if path.is_file():
            target = copied / path.relative_to(bundle_path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    evidence = copied / "evidence.json"
    content = evidence.read_bytes()
    evidence.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(IntegrityError, match=r"evidence\.json"):
        make_record(report(artifact("onnx-int8")), open_bundle(copied))


def test_a_run_of_wandb_holds_the_files_in_its_folder(wandb: Wandb) -> None:
    record = make_record(report(artifact("onnx-int8")), None)
    place = open_tracker("wandb").log(record)
    assert place == str(Path(wandb.dir).parent)
    assert wandb.started["project"] == "edgebert" and wandb.started["job_type"] == "benchmark"
    assert wandb.started["config"] == record.config and wandb.metrics == record.metrics
    assert sorted(wandb.saved) == sorted(str(Path(wandb.dir, name)) for name in record.files)
    assert json.loads(Path(wandb.dir, "benchmark.json").read_text())["bundle"] == "sst2"
    assert wandb.ended == 0
    wandb.offline, wandb.url = False, "https://tracker.example/run"
    assert open_tracker("wandb").log(record) == "https://tracker.example/run"


def test_a_run_of_mlflow_holds_the_files(mlflow: Mlflow) -> None:
    record = make_record(report(artifact("onnx-int8")), None)
    assert open_tracker("mlflow").log(record) == "run 0123abcd in sqlite:///mlflow.db"
    assert (mlflow.experiment, mlflow.run_name, mlflow.status) == ("edgebert", record.name, "FINISHED")
    assert mlflow.params == record.config and mlflow.metrics == record.metrics and mlflow.files == record.files


def test_the_tracker_s_own_variables_win(wandb: Wandb, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    record = make_record(report(artifact("onnx-int8")), None)
    for name in TRACKERS:
        open_tracker(name).log(record)
    assert wandb.started["project"] is None and mlflow.experiment == ""


def test_a_tracker_that_refuses_gives_one_error_and_a_run_that_failed(wandb: Wandb) -> None:
    wandb.broken = "the server\nsaid no"
    with pytest.raises(OutputError, match=r"not logged to wandb: the server said no\.") as refused:
        open_tracker("wandb").log(make_record(report(artifact("onnx-int8")), None))
    assert refused.value.hint
    assert wandb.ended == 1


@pytest.mark.parametrize("name", TRACKERS)
def test_a_library_that_is_missing_is_said_with_the_line_that_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(OutputError, match=f"Logging to {name} needs") as refused:
        open_tracker(name)
    assert refused.value.hint == f'Install it: pip install "edgebert[{name}]"'
