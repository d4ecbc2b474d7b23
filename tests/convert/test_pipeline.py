"""From a checkpoint to a bundle, with real backends; the exporters' work is done once and copied."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")
for _library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(_library)

import edgebert  # noqa: E402
from edgebert.bundle import open_bundle  # noqa: E402
from edgebert.convert import pipeline  # noqa: E402
from edgebert.convert.checkpoint import Checkpoint  # noqa: E402
from edgebert.convert.exporters import Exported, ExportJob  # noqa: E402
from edgebert.convert.graph import run_graph  # noqa: E402
from edgebert.convert.pipeline import EvalColumns, GateOverrides, convert  # noqa: E402
from edgebert.convert.report import FAILED, PASSED, REFUSED, Outcome, Report  # noqa: E402
from edgebert.errors import (  # noqa: E402
    CheckpointError,
    ConversionError,
    DataError,
    GateError,
    OutputError,
    TargetError,
)
from tests.convert import models, ruin  # noqa: E402
from tests.convert.conftest import Exports  # noqa: E402

ONNX = ("onnx-fp32", "onnx-int8")
EXAMPLES = models.opinions(48, seed=7)
Harm = Callable[[Path], None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibration texts, an evaluation file, and targets."""
    folder = tmp_path_factory.mktemp("files")
    models.write_texts(folder / "calibration.txt", models.opinions(48))
    models.write_eval(folder / "dev.tsv", EXAMPLES)
    models.write_target(folder / "onnx", ONNX)
    models.write_target(folder / "fp32", ONNX[:1], name="fp32-board")
    models.write_target(folder / "all", models.ALL_ARTIFACTS, name="all-board")
    return folder


@pytest.fixture
def harm() -> dict[str, Harm | BaseException]:
    """Artifact -> what is done to its files after the export, or what its exporter raises instead."""
    return {}


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, exports: Exports, harm: dict[str, Harm | BaseException]) -> list[str]:
    """Exporters give what the real ones made of the same checkpoint. Holds what has been exported."""
    exported: list[str] = []

    def patch(backend: str) -> None:
        module = import_module(f"edgebert.convert.exporters.{backend}")
        real = module.export

        def export(job: ExportJob, precision: str, directory: Path) -> Exported:
            name = f"{backend}-{precision}"
            exported.append(name)
            folder, described = exports(name, real)
            damage = harm.get(name)
            if isinstance(damage, BaseException):
                (directory / "half-written").write_bytes(b"half")
                os.write(2, f"the converter of {name} gives up\n".encode())
                raise damage
            shutil.copytree(folder, directory, dirs_exist_ok=True)
            if damage is not None:
                damage(directory)
            return described

        monkeypatch.setattr(module, "export", export)

    for backend in ("onnx", "openvino", "tflite"):
        try:
            patch(backend)
        except ImportError:  # a test that needs it is skipped by `exports`
            continue
    return exported


class Recorder:
    """Remembers the stages, and interrupts one of them."""

    def __init__(self, interrupt: int | None = None) -> None:
        self.seen: list[tuple[str, str | None]] = []
        self._interrupt = interrupt

    def stage(self, name: str, artifact: str | None = None) -> None:
        self.seen.append((name, artifact))
        if len(self.seen) == self._interrupt:
            raise KeyboardInterrupt

    def finished(self, artifact: str, status: str) -> None:
        self.seen.append((status, artifact))
        if len(self.seen) == self._interrupt:
            raise KeyboardInterrupt


@pytest.fixture
def run(small_folder: Path, files: Path, tmp_path: Path, copied: list[str]) -> Callable[..., Report]:
    """``convert`` with what these tests share; the bundle is ``out/tiny.edgebert``."""

    def call(**options: Any) -> Report:
        (tmp_path / "out").mkdir(exist_ok=True)
        defaults: dict[str, Any] = {
            "source": str(small_folder),
            "out": tmp_path / "out" / "tiny.edgebert",
            "targets": [str(files / "onnx")],
            "calibration": files / "calibration.txt",
        }
        return convert(**{**defaults, **options})

    return call


def left(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "out"))  # noqa: PTH208 (hidden ones too)


def outcomes(report: Any) -> dict[str, Outcome]:
    assert isinstance(report, Report)
    return {outcome.id: outcome for outcome in report.artifacts}


# --- a good conversion


@pytest.fixture(scope="module")
def good(
    small_folder: Path, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Report, list[tuple[str, str | None]]]:
    """The real exporters, all of them."""
    for library in ("openvino", "nncf", "litert_torch", "ai_edge_quantizer", "ai_edge_litert"):
        pytest.importorskip(library)
    out = tmp_path_factory.mktemp("good") / "tiny.edgebert"
    recorder = Recorder()
    report = convert(
        str(small_folder),
        out,
        targets=[str(files / "all"), str(files / "onnx")],
        evaluation=files / "dev.tsv",
        calibration=files / "calibration.txt",
        command=("edgebert", "convert", "tiny"),
        progress=recorder,
    )
    return out, report, recorder.seen


def test_every_artifact_passes_and_runs(good: tuple[Path, Report, Any], small: Checkpoint, exports: Exports) -> None:
    out, report, _ = good
    assert {name: outcome.status for name, outcome in outcomes(report).items()} == dict.fromkeys(
        models.ALL_ARTIFACTS, PASSED
    )
    from edgebert.runtime.tokenization import TextTokenizer

    tokenizer = TextTokenizer(small.tokenizer_json, max_length=64)
    texts = [text for text, _ in models.opinions(30, seed=11)]
    rows = [tokenizer.encode(text)[0].input_ids for text in texts]
    graph = [run_graph(exports.job.graph, row[None], np.ones((1, len(row)), np.int32))[0] for row in rows]
    expected = [small.task.labels[int(logits.argmax())] for logits in graph]
    assert len(set(expected)) == 3
    for name in models.ALL_ARTIFACTS:
        with edgebert.load(out, artifact=name, strict=True) as model:
            answers = [result["label"] for result in model(texts)]
        agreeing = np.mean([answer == wanted for answer, wanted in zip(answers, expected, strict=True)])
        assert agreeing == 1.0 if not name.endswith("int8") else agreeing >= 0.9, name


def test_evidence_agrees_with_the_manifest(good: tuple[Path, Report, Any], small: Checkpoint, files: Path) -> None:
    out, report, _ = good
    bundle = open_bundle(out)
    bundle.verify(bundle.manifest.files)
    manifest = bundle.manifest
    evidence = json.loads((out / "evidence.json").read_bytes())
    assert evidence == json.loads(report.to_json())
    assert b"onnx-int8" in (out / "evidence.html").read_bytes()
    assert evidence["name"] == manifest.name == "tiny"
    assert evidence["tools"] == dict(manifest.provenance.tools)
    assert {"edgebert", "torch", "onnx", "openvino", "nncf", "litert-torch"} <= manifest.provenance.tools.keys()
    assert manifest.provenance.files == small.files
    assert manifest.provenance.command == ("edgebert", "convert", "tiny")
    assert manifest.task == small.task
    assert (out / "tokenizer.json").read_bytes() == small.tokenizer_json
    assert evidence["evaluation"]["path"] == "dev.tsv"
    assert evidence["evaluation"]["texts"] == len(EXAMPLES)
    assert evidence["evaluation"]["metric"] == "accuracy"
    assert evidence["evaluation"]["reference"] > 0.9
    assert evidence["calibration"] == "calibration.txt"
    assert evidence["parameters"] == sum(tensor.numel() for tensor in small.tensors.values())
    assert evidence["graph_diff"] <= 1e-4
    assert [artifact.id for artifact in manifest.artifacts] == [entry["id"] for entry in evidence["artifacts"]]
    for artifact, entry in zip(manifest.artifacts, evidence["artifacts"], strict=True):
        measured = entry["measurement"]
        assert artifact.tolerance == entry["tolerance"] > measured["golden_diff"]
        assert artifact.quantization == entry["quantization"]
        assert sum(file.size for file in artifact.files) == entry["bytes"]
        assert asdict(artifact.evidence) == {
            "max_abs_diff": measured["max_abs_diff"],
            "label_agreement": measured["label_agreement"],
            "metric": "accuracy",
            "value": measured["score"]["value"],
            "reference": evidence["evaluation"]["reference"],
        }
    assert {profile.target: profile.order for profile in manifest.profiles} == {
        "all-board": models.ALL_ARTIFACTS,
        "tiny-board": ONNX,
    }
    assert outcomes(report)["onnx-int8"].targets == ("all-board", "tiny-board")
    assert outcomes(report)["tflite-int8"].targets == ("all-board",)


def test_nothing_of_the_work_is_left(good: tuple[Path, Report, Any]) -> None:
    out, _, _ = good
    assert [path.name for path in out.parent.iterdir()] == ["tiny.edgebert"]
    assert {path.name for path in out.iterdir()} == {
        "manifest.json", "tokenizer.json", "golden.npz", "evidence.json", "evidence.html", "artifacts"
    }  # fmt: skip
    assert {path.name for path in (out / "artifacts").iterdir()} == set(models.ALL_ARTIFACTS)


def test_progress_names_stages_and_artifacts(good: tuple[Path, Report, list[tuple[str, str | None]]]) -> None:
    work = [step for name in models.ALL_ARTIFACTS for step in (("export", name), ("measure", name), (PASSED, name))]
    assert good[2] == [("libraries", None), ("checkpoint", None), ("graph", None), *work, ("write", None)]


# --- ruined artifacts


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("onnx-fp32", ruin.scale_weights),
        ("onnx-fp32", ruin.zero_scales),
        ("onnx-int8", ruin.scale_weights),
        ("onnx-int8", ruin.zero_scales),
        ("openvino-fp16", ruin.scale_weights),
        ("openvino-int8", ruin.scale_weights),
        ("openvino-int8", ruin.zero_scales),
        ("tflite-fp32", ruin.scale_weights),
        ("tflite-fp32", ruin.zero_scales),
        ("tflite-int8", ruin.scale_weights),
    ],
)
def test_a_ruined_artifact_is_refused_and_the_others_are_measured(
    name: str, damage: Harm, run: Any, harm: dict[str, Any], files: Path, tmp_path: Path
) -> None:
    harm[name] = damage
    with pytest.raises(GateError) as caught:
        run(targets=[str(files / "all")], evaluation=files / "dev.tsv")
    error = caught.value
    assert (error.exit_code, error.code) == (3, "conversion.gate")
    assert "1 of 6 artifacts did not pass" in error.message
    assert name in error.message
    assert "No bundle was written" in error.hint
    assert "--drop-failing" in error.hint
    made = outcomes(error.report)
    assert {one: outcome.status for one, outcome in made.items()} == {
        **dict.fromkeys(models.ALL_ARTIFACTS, PASSED),
        name: REFUSED,
    }
    assert all(outcome.measurement is not None for outcome in made.values())
    assert made[name].reasons
    json.loads(error.report.to_json())
    assert left(tmp_path) == []


def test_an_artifact_that_computes_no_numbers_is_refused(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    import onnx

    def poison(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        for tensor in model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.dtype == np.float32:
                tensor.CopyFrom(onnx.numpy_helper.from_array(array * np.float32(np.nan), tensor.name))
        for old in folder.iterdir():
            old.unlink()
        onnx.save_model(model, folder / "model.onnx")

    harm["onnx-fp32"] = poison
    with pytest.raises(GateError) as caught:
        run()
    assert outcomes(caught.value.report)["onnx-fp32"].status == REFUSED
    assert outcomes(caught.value.report)["onnx-int8"].status == PASSED
    assert left(tmp_path) == []


def test_drop_failing_writes_the_others(run: Any, harm: dict[str, Any], tmp_path: Path, files: Path) -> None:
    harm["onnx-fp32"] = ruin.scale_weights
    report = run(drop_failing=True, targets=[str(files / "onnx"), str(files / "fp32")])
    bundle = open_bundle(tmp_path / "out" / "tiny.edgebert")
    bundle.verify(bundle.manifest.files)
    assert [artifact.id for artifact in bundle.manifest.artifacts] == ["onnx-int8"]
    assert {profile.target: profile.order for profile in bundle.manifest.profiles} == {"tiny-board": ("onnx-int8",)}
    assert left(tmp_path) == ["tiny.edgebert"]
    assert outcomes(report)["onnx-fp32"].status == REFUSED  # the evidence tells of it
    assert json.loads((tmp_path / "out/tiny.edgebert/evidence.json").read_bytes()) == json.loads(report.to_json())
    with edgebert.load(tmp_path / "out" / "tiny.edgebert", strict=True) as model:
        assert model.artifact == "onnx-int8"
        assert [result["label"] for result in model([text for text, _ in EXAMPLES[:5]])] == [a for _, a in EXAMPLES[:5]]


def test_drop_failing_does_not_write_an_empty_bundle(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    harm.update(dict.fromkeys(ONNX, ruin.scale_weights))
    with pytest.raises(GateError, match="2 of 2 artifacts") as caught:
        run(drop_failing=True)
    assert "--drop-failing" not in caught.value.hint
    assert left(tmp_path) == []


def test_overrides_tighten_and_loosen_the_gate(run: Any, tmp_path: Path) -> None:
    with pytest.raises(GateError) as caught:
        run(overrides=GateOverrides(max_logit_difference=1e-9))
    assert all("1e-09 is allowed" in outcome.reasons[0] for outcome in outcomes(caught.value.report).values())
    report = run(overrides=GateOverrides(max_logit_difference=1e9, min_label_agreement=0.1, max_metric_drop=1.0))
    limits = outcomes(report)["onnx-fp32"].limits
    assert limits is not None
    assert (limits.max_logit_difference, limits.min_label_agreement, limits.max_metric_drop) == (1e9, 0.1, 1.0)


# --- exporters that fail


def test_an_exporter_that_raises(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    harm["onnx-int8"] = RuntimeError("no such operator\nand a long trace")
    with pytest.raises(ConversionError, match="onnx-int8 failed: RuntimeError: no such operator") as caught:
        run()
    assert type(caught.value) is ConversionError
    assert caught.value.exit_code == 1
    made = outcomes(caught.value.report)
    assert (made["onnx-int8"].status, made["onnx-int8"].measurement) == (FAILED, None)
    assert "the converter of onnx-int8 gives up" in made["onnx-int8"].log
    assert made["onnx-fp32"].status == PASSED
    assert made["onnx-fp32"].measurement is not None
    assert made["onnx-fp32"].log == ""
    assert left(tmp_path) == []
    report = run(drop_failing=True)
    assert outcomes(report)["onnx-int8"].status == FAILED
    assert [path.name for path in (tmp_path / "out/tiny.edgebert/artifacts").iterdir()] == ["onnx-fp32"]


def test_refused_outweighs_failed(run: Any, harm: dict[str, Any]) -> None:
    harm.update({"onnx-int8": RuntimeError("no"), "onnx-fp32": ruin.scale_weights})
    with pytest.raises(GateError) as caught:
        run()
    assert {outcome.status for outcome in outcomes(caught.value.report).values()} == {REFUSED, FAILED}


def test_a_missing_conversion_library(
    small_folder: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real exporters, without litert-torch."""
    target = models.write_target(tmp_path / "board", ["onnx-fp32", "tflite-fp32", "tflite-int8"])
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.delitem(sys.modules, "edgebert.convert.exporters.tflite", raising=False)
    monkeypatch.delitem(sys.modules, "edgebert.convert.exporters.tflite_file", raising=False)
    (tmp_path / "out").mkdir()
    with pytest.raises(ConversionError) as caught:
        convert(
            str(small_folder),
            tmp_path / "out" / "tiny.edgebert",
            targets=[target],
            calibration=files / "calibration.txt",
        )
    made = outcomes(caught.value.report)
    assert made["onnx-fp32"].status == PASSED
    for name in ("tflite-fp32", "tflite-int8"):
        assert made[name].status == FAILED
        assert 'pip install "edgebert[convert]"' in made[name].reasons[0]
    assert left(tmp_path) == []


def test_a_backend_that_is_not_installed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.convert.evidence.find_runtimes", lambda backend: [])
    with pytest.raises(ConversionError, match="No runtime for onnx artifacts is usable here"):
        run()


# --- outputs


def test_an_output_that_exists(run: Any, copied: list[str], tmp_path: Path) -> None:
    run()
    manifest = tmp_path / "out/tiny.edgebert/manifest.json"
    before = manifest.read_bytes()
    copied.clear()
    with pytest.raises(OutputError, match="exists already") as caught:
        run()
    assert "--overwrite" in caught.value.hint
    assert (manifest.read_bytes(), copied) == (before, [])
    run(overwrite=True, command=("again",))
    assert json.loads(manifest.read_bytes())["provenance"]["command"] == ["again"]
    assert left(tmp_path) == ["tiny.edgebert"]


def test_a_folder_of_somebody_else_is_not_replaced(run: Any, copied: list[str], tmp_path: Path) -> None:
    (tmp_path / "out" / "tiny.edgebert").mkdir(parents=True)
    (tmp_path / "out" / "tiny.edgebert" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is not replaced"):
        run(overwrite=True)
    assert (tmp_path / "out" / "tiny.edgebert" / "thesis.txt").read_text() == "years of work"
    assert copied == []


def test_a_missing_folder(run: Any, copied: list[str], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        run(out=tmp_path / "nowhere" / "tiny.edgebert")
    assert copied == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder(run: Any, copied: list[str], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        run(out=tmp_path / "locked" / "tiny.edgebert")
    assert copied == []


def test_a_folder_that_not_even_root_may_write(run: Any, copied: list[str]) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs /proc")
    with pytest.raises(OutputError, match=r"Cannot write '/proc/tiny\.edgebert'"):
        run(out="/proc/tiny.edgebert")
    assert copied == []


Usage = namedtuple("Usage", "total used free")


def test_a_full_disk_at_the_start(run: Any, copied: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 10_000_000))
    with pytest.raises(OutputError, match=r"needs about \d+ MB .* 10 MB are free") as caught:
        run()
    assert caught.value.hint
    assert copied == []
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.bin"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    ],
)
def test_a_disk_that_runs_full_in_an_exporter(
    failure: OSError, run: Any, harm: dict[str, Any], copied: list[str], tmp_path: Path
) -> None:
    harm["onnx-fp32"] = failure
    with pytest.raises(OutputError, match=str(failure.strerror)):
        run()
    assert copied == ["onnx-fp32"]  # the others would fail for the same reason
    assert left(tmp_path) == []


def test_a_full_disk_behind_another_error(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    failure = RuntimeError("serialization failed")
    failure.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    harm["onnx-int8"] = failure
    with pytest.raises(OutputError, match="No space left"):
        run()
    assert left(tmp_path) == []


def test_a_full_disk_that_the_exporter_does_not_name(
    run: Any, harm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(RuntimeError):
        def __init__(self) -> None:
            super().__init__("basic_ios::clear: iostream error")

    real = shutil.disk_usage
    free = iter([None])  # enough before the start; nothing afterwards
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: real(path) if next(free, 0) is None else Usage(10**9, 10**9, 4096)
    )
    harm["onnx-int8"] = Full()
    with pytest.raises(OutputError, match="No space left"):
        run()
    assert left(tmp_path) == []


# --- interruptions

STEPS = 3 + 3 * len(ONNX) + 1


@pytest.mark.parametrize("step", range(1, STEPS + 1))
@pytest.mark.parametrize("old", [False, True])
def test_an_interruption_leaves_nothing_and_keeps_the_old_bundle(
    step: int, old: bool, run: Any, tmp_path: Path
) -> None:
    before = None
    if old:
        run()
        before = (tmp_path / "out/tiny.edgebert/manifest.json").read_bytes()
    recorder = Recorder(interrupt=step)
    with pytest.raises(KeyboardInterrupt):
        run(overwrite=True, progress=recorder)
    assert len(recorder.seen) == step
    assert left(tmp_path) == (["tiny.edgebert"] if old else [])
    if old:
        assert (tmp_path / "out/tiny.edgebert/manifest.json").read_bytes() == before
        edgebert.load(tmp_path / "out/tiny.edgebert", strict=True).close()


def test_there_are_as_many_steps_as_are_interrupted(run: Any) -> None:
    recorder = Recorder()
    run(progress=recorder)
    assert len(recorder.seen) == STEPS


def test_an_interruption_inside_an_exporter(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    harm["onnx-int8"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run()
    assert left(tmp_path) == []


def test_a_bundle_that_cannot_answer_is_not_written(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **options: Any) -> Any:
        raise edgebert.SelfTestError("it fails on the first run")

    monkeypatch.setattr(pipeline, "load", load)
    with pytest.raises(edgebert.SelfTestError, match="first run"):
        run()
    assert left(tmp_path) == []


# --- wrong input is refused before anything is exported


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"targets": []}, TargetError, "No target"),
        ({"targets": ["no-such-board"]}, TargetError, "no-such-board"),
        ({"source": "/nonexistent/checkpoint"}, CheckpointError, "/nonexistent/checkpoint"),
        ({"calibration": "/nonexistent.txt"}, DataError, "/nonexistent.txt"),
        ({"evaluation": "/nonexistent.tsv"}, DataError, "/nonexistent.tsv"),
        ({"task": "fill-mask"}, CheckpointError, "fill-mask"),
    ],
)
def test_wrong_input(
    options: dict[str, Any], kind: type[Exception], said: str, run: Any, copied: list[str], tmp_path: Path
) -> None:
    with pytest.raises(kind, match=said):
        run(**options)
    assert copied == []
    assert left(tmp_path) == []


def test_unknown_labels(run: Any, copied: list[str], tmp_path: Path) -> None:
    path = models.write_eval(tmp_path / "wrong.tsv", [*EXAMPLES[:3], ("good", "splendid")])
    with pytest.raises(DataError, match=r"wrong.tsv.*5.*splendid") as caught:
        run(evaluation=path)
    assert "negative, neutral, positive" in caught.value.hint
    assert copied == []
    assert left(tmp_path) == []


def test_calibration_without_a_single_token(run: Any, copied: list[str], tmp_path: Path) -> None:
    path = tmp_path / "silent.txt"
    path.write_text("\u200d\n" * 10, encoding="utf-8")
    with pytest.raises(DataError, match="no token"):
        run(calibration=path)
    assert copied == []


def test_two_targets_of_one_name(run: Any, files: Path, tmp_path: Path, copied: list[str]) -> None:
    other = models.write_target(tmp_path / "other", ONNX)
    with pytest.raises(TargetError, match="Two targets have the name 'tiny-board'"):
        run(targets=[str(files / "onnx"), other])
    assert copied == []


def test_columns_and_limit(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("what,who\n" + "".join(f"{text},{label}\n" for text, label in EXAMPLES))
    report = run(evaluation=path, columns=EvalColumns(text="what", label="who"), limit=10)
    assert report.evaluation.texts == 10
    assert report.evaluation.path == "odd.csv"


# --- an artifact that is swapped in later


def swap(bundle: Path, artifact_id: str, damage: Harm, folder: Path) -> None:
    """Replace an artifact by a ruined one with a right hash, as somebody who knows the format would."""
    from dataclasses import replace

    from edgebert.bundle import BundleWriter

    old = open_bundle(bundle).manifest
    with BundleWriter(folder / "swapped.edgebert") as writer:
        shutil.copytree(bundle, writer.staging, dirs_exist_ok=True)
        (writer.staging / "manifest.json").unlink()
        target = writer.staging / "artifacts" / artifact_id
        damage(target)
        refs = tuple(writer.ref(f"artifacts/{artifact_id}/{path.name}") for path in sorted(target.iterdir()))
        artifacts = tuple(replace(a, files=refs) if a.id == artifact_id else a for a in old.artifacts)
        writer.commit(replace(old, artifacts=artifacts))


@pytest.mark.parametrize("damage", [ruin.scale_weights, ruin.zero_scales])
@pytest.mark.parametrize("name", models.ALL_ARTIFACTS)
def test_a_ruined_artifact_with_a_right_hash_is_refused_at_load(
    name: str, damage: Harm, good: tuple[Path, Report, Any], tmp_path: Path
) -> None:
    swap(good[0], name, damage, tmp_path)
    path = tmp_path / "swapped.edgebert"
    with pytest.raises(edgebert.BackendError) as caught:  # some backends refuse a scale of zero when they open it
        edgebert.load(path, artifact=name, strict=True)
    assert isinstance(caught.value, edgebert.SelfTestError) or damage is ruin.zero_scales
    with pytest.raises(edgebert.SelectionError), pytest.warns(edgebert.BackendFallbackWarning, match=name):
        edgebert.load(path, artifact=name)


def test_another_artifact_serves_instead(good: tuple[Path, Report, Any], tmp_path: Path) -> None:
    first = edgebert.load(good[0], strict=True)
    expected = [result["label"] for result in first([text for text, _ in EXAMPLES])]
    chosen = first.artifact
    first.close()
    swap(good[0], chosen, ruin.scale_weights, tmp_path)
    with pytest.warns(edgebert.BackendFallbackWarning, match=rf"{chosen} .*fails its self-test"):
        model = edgebert.load(tmp_path / "swapped.edgebert")
    with model:
        assert model.artifact != chosen
        answers = [result["label"] for result in model([text for text, _ in EXAMPLES])]
    assert np.mean([one == other for one, other in zip(answers, expected, strict=True)]) >= 0.9


# --- other checkpoints, through the real exporters


KINDS: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "two labels": (("no", "yes"), models.SINGLE, {}),
    "thirty labels": (tuple(f"intent {index}" for index in range(30)), models.SINGLE, {}),
    "several labels": (("joy", "anger", "fear", "calm"), "multi_label_classification", {}),
    "regression": (("stars",), "regression", {}),
    "short": (models.LABELS, models.SINGLE, {"max_position_embeddings": 12}),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, list[tuple[str, Any]], Path, Report]]:
    labels, problem_type, changes = KINDS[request.param]
    pytest.importorskip("litert_torch")
    folder = tmp_path_factory.mktemp("kind")
    model = models.trained_model(labels, problem_type, **changes)
    examples = models.opinions(40, labels, problem_type, seed=7)
    report = convert(
        str(models.save(model, folder / "checkpoint")),
        folder / "kind.edgebert",
        targets=[models.write_target(folder / "board", ["onnx-fp32", "onnx-int8", "tflite-fp32"])],
        evaluation=models.write_eval(folder / "dev.tsv", examples),
        calibration=models.write_texts(folder / "texts.txt", models.opinions(48, labels, problem_type)),
    )
    yield model, examples, folder / "kind.edgebert", report


def test_every_kind_of_checkpoint_converts(kind: tuple[Any, Any, Path, Report]) -> None:
    model, _, out, report = kind
    assert {outcome.status for outcome in report.artifacts} == {PASSED}
    assert report.evaluation.metric in ("accuracy", "micro_f1", "pearson")
    assert report.evaluation.reference is not None
    assert report.evaluation.reference > 0.8
    assert report.labels == tuple(model.config.id2label[index] for index in range(model.config.num_labels))
    limit = model.config.max_position_embeddings
    for artifact in open_bundle(out).manifest.artifacts:
        assert artifact.shapes.max_length == limit
        if artifact.backend == "tflite":
            assert artifact.shapes.buckets == tuple(sorted({min(bucket, limit) for bucket in (8, 16, 64)}))


def test_every_kind_answers_as_transformers_does(kind: tuple[Any, Any, Path, Report], tmp_path: Path) -> None:
    from transformers import AutoTokenizer, TextClassificationPipeline

    model, examples, out, _ = kind
    tokenizer = AutoTokenizer.from_pretrained(out.parent / "checkpoint")
    texts = [text for text, _ in examples if len(tokenizer(text).input_ids) <= model.config.max_position_embeddings]
    assert len(texts) >= 20
    reference = TextClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu")(texts, top_k=None)
    for artifact in ("onnx-fp32", "tflite-fp32"):
        with edgebert.load(out, artifact=artifact, strict=True) as loaded:
            for answer, expected in zip(loaded(texts, top_k=None), reference, strict=True):
                scores = {entry["label"]: entry["score"] for entry in answer}
                assert scores == pytest.approx({entry["label"]: entry["score"] for entry in expected}, abs=1e-4)
