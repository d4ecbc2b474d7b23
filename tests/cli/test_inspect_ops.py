"""``inspect --ops``, and what is said where XNNPACK is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Result
from tests.runtime import tiny
from tests.runtime.xnnpack import litert, switch_off

Edgebert = Callable[..., Result]

ARTIFACTS = ["tflite-fp32", "onnx-fp32"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TFLite first, then ONNX."""
    litert()
    folder = tmp_path_factory.mktemp("ops")
    checkpoint = tiny.make_checkpoint("single_label_classification", ("NEGATIVE", "POSITIVE"))
    artifacts = [
        (tiny.artifact("tflite-fp32"), {"model.tflite": tiny.tflite_bytes(checkpoint, folder)}),
        (tiny.artifact("onnx-fp32"), {"model.onnx": tiny.onnx_bytes(checkpoint)}),
    ]
    return tiny.write_bundle(folder / "tiny.edgebert", checkpoint, artifacts)


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "tiny.edgebert"))


def test_operators_of_every_artifact(edgebert: Edgebert, bundle: Path) -> None:
    result = edgebert("inspect", bundle, "--ops")
    assert (result.code, result.messages) == (0, "")
    tflite, onnx = result.out.split("\n\n")
    assert tflite.startswith("tflite-fp32 in ai-edge-litert ")
    assert "(XNNPACK applied), one text of 64 tokens\ncount  operator " in tflite
    assert any(line.split()[1:2] == ["FULLY_CONNECTED"] and "XNNPACK" in line for line in tflite.splitlines())
    assert onnx.startswith("onnx-fp32 in onnxruntime ")
    assert "one text of 32 tokens\n" in onnx
    assert re.search(r"^ *\d+  Fully Connected \(NC, P?F32\) ", tflite, re.MULTILINE)
    assert "not told" not in result.out
    assert onnx.rstrip().endswith(" by CPUExecutionProvider")


def test_operators_as_json(edgebert: Edgebert, bundle: Path) -> None:
    result = edgebert("inspect", bundle, "--ops", "--length", "9", "--json")
    listings = json.loads(result.out)
    assert [(one["artifact"], one["status"], one["length"]) for one in listings] == [
        ("tflite-fp32", "listed", 16),
        ("onnx-fp32", "listed", 9),
    ]
    for listing in listings:
        counts = [one["count"] for one in listing["execution"]["operators"]]
        assert counts == sorted(counts, reverse=True)
        assert all(
            one["type"] and "->" in one["precision"] and one["executed_by"] for one in listing["execution"]["operators"]
        )


def test_operators_of_one_artifact(edgebert: Edgebert, bundle: Path) -> None:
    result = edgebert("inspect", bundle, "--ops", "--artifact", "onnx-fp32")
    assert "tflite" not in result.out
    refused = edgebert("inspect", bundle, "--ops", "--artifact", "onnx-int8").refusal()
    assert refused.startswith("Error: The bundle has no artifact 'onnx-int8'.")


def test_what_is_asked_wrongly(edgebert: Edgebert, bundle: Path) -> None:
    refused = edgebert("inspect", bundle, "--ops", "--length", "65").refusal()
    assert refused == "Error: A length of 65 tokens is not allowed by tiny.\nHint: Use a length from 1 to 64."
    assert "give --ops as well" in edgebert("inspect", bundle, "--length", "8").usage_error()
    assert "give --ops as well" in edgebert("inspect", bundle, "--artifact", "onnx-fp32").usage_error()


def test_an_artifact_that_cannot_run_is_said(edgebert: Edgebert, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["artifacts"][0]["requires"]["runtimes"] = {"ai-edge-litert": "9999"}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    result = edgebert("inspect", bundle, "--ops")
    assert result.code == 0
    assert result.out.startswith("tflite-fp32: cannot run: needs ai-edge-litert >= 9999; ")
    assert "onnx-fp32 in onnxruntime " in result.out
    alone = edgebert("inspect", bundle, "--ops", "--artifact", "tflite-fp32")
    assert alone.refusal() == "Error: Nothing that is asked for can run here.\nHint: Run `edgebert doctor`."


def test_an_artifact_that_does_not_tell_is_said(
    edgebert: Edgebert, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(litert().Interpreter, "get_tensor_details")
    result = edgebert("inspect", bundle, "--ops")
    assert result.code == 1
    assert result.out.startswith("tflite-fp32: failed in ai-edge-litert ")
    assert "does not tell what it executes" in result.out
    assert "onnx-fp32 in onnxruntime " in result.out


def test_an_altered_file_is_not_run(edgebert: Edgebert, bundle: Path) -> None:
    file = bundle / "artifacts/onnx-fp32/model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    assert "is altered" in edgebert("inspect", bundle, "--ops", "--artifact", "onnx-fp32").refusal()


def test_without_ops_nothing_is_run(bundle: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['edgebert', 'inspect', sys.argv[1]]\n"
        "from edgebert.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as stopped:\n"
        "    print(stopped.code, {'onnxruntime', 'ai_edge_litert'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, bundle], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 set()"


def test_xnnpack_switched_off_is_said_everywhere(
    edgebert: Edgebert, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off(monkeypatch)
    missing = "XNNPACK, which has TFLite's fast kernels, is not applied"
    verified = edgebert("verify", bundle)
    assert verified.code == 0
    _, tflite, warning, onnx = verified.out.splitlines()
    assert tflite.startswith("tflite-fp32: passed in ai-edge-litert ")
    assert warning == f"  warning: slow here: {missing}"
    assert onnx.startswith("onnx-fp32: passed in onnxruntime ")
    as_json = json.loads(edgebert("verify", bundle, "--json").out)
    assert [one["slowdown"] for one in as_json] == [missing, ""]

    predicted = edgebert("predict", bundle, "good", "bad", "--strict")
    assert predicted.code == 0
    assert predicted.messages == (
        f"Warning: Artifact tflite-fp32 of tiny is slow here: {missing}. "
        "`edgebert doctor` and `edgebert inspect --ops` tell more."
    )
    assert len(predicted.out.splitlines()) == 2

    listed = edgebert("inspect", bundle, "--ops", "--artifact", "tflite-fp32").out
    assert "(XNNPACK not applied)" in listed
    assert listed.rstrip().endswith(" by TFLite builtin kernel")
