"""Faults that were planted on emulated boards are noticed, and reported by name."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.arm64.compare import assert_same_answers
from tests.arm64.conftest import ARTIFACTS, ask_board, ask_host, jobs
from tests.arm64.root import Board

pytestmark = pytest.mark.full  # over a minute: every task is converted first, and an emulated CPU is slow

CPU = "cortex-a72"
MAIN = ["-m", "edgebert"]
FAILED = 4
"""The exit code of ``verify`` where an artifact fails."""
TEXTS = ["a charming film", "the plot is dull"]


@pytest.fixture(scope="module")
def bundle(task_bundles: Mapping[str, Path]) -> Path:
    return task_bundles["text-classification"]


def test_xnnpack_switched_off_is_reported(board: Board, bundle: Path) -> None:
    """As in a container without /sys: XNNPACK gives up, its caller goes on without it, and only speed tells."""
    asked = {"answer": jobs([bundle], ["tflite-fp32", "tflite-int8"], TEXTS)}
    theirs = ask_board(board, CPU, asked, topology=False)["answer"]
    for told, ours in zip(theirs, ask_host(asked)["answer"], strict=True):
        assert ours["facts"]["details"] == {"XNNPACK": "applied"}
        assert told["facts"]["details"] == {"XNNPACK": "not applied"}
        assert "XNNPACK not applied" in told["explanation"].splitlines()[0]
        assert_same_answers(told, ours, "int8")  # slow, and right


def test_every_verb_reports_it(board: Board, bundle: Path) -> None:
    missing = "XNNPACK, which has TFLite's fast kernels, is not applied"
    predict, verify, inspect, doctor = (
        board.run(CPU, [*MAIN, *arguments], topology=False)
        for arguments in (
            ["predict", str(bundle), TEXTS[0], "--artifact", "tflite-int8", "--strict"],
            ["verify", str(bundle), "--json"],
            ["inspect", str(bundle), "--ops", "--artifact", "tflite-int8"],
            ["doctor"],
        )
    )
    assert predict.returncode == 0, predict.stderr
    warned = f"Warning: Artifact tflite-int8 of {bundle.stem} is slow here: {missing}. "
    assert any(line.startswith(warned) for line in predict.stderr.splitlines()), predict.stderr
    assert verify.returncode == 0, verify.stderr
    told = {one["artifact"]: one for one in json.loads(verify.stdout)}
    assert {one["status"] for one in told.values()} == {"passed"}
    assert {name: one["slowdown"] for name, one in told.items()} == {
        name: missing if name.startswith("tflite") else "" for name in ARTIFACTS
    }
    assert inspect.returncode == 0, inspect.stderr
    assert "(XNNPACK not applied)" in inspect.stdout
    assert " by XNNPACK" not in inspect.stdout
    assert doctor.returncode == 0, doctor.stderr
    assert "/sys/devices/system/cpu/present cannot be read: LiteRT then runs without XNNPACK" in doctor.stdout


def test_a_wrong_kernel_is_noticed(board: Board, bundle: Path) -> None:
    """The one int8 kernel that is known to compute wrongly: SME, as qemu 7 emulates it."""
    verified, chosen = (
        board.run("max", [*MAIN, *arguments])
        for arguments in (
            ["verify", str(bundle), "--json"],
            ["predict", str(bundle), TEXTS[0], "--explain"],
        )
    )
    results = {one["artifact"]: one for one in json.loads(verified.stdout)}
    assert list(results) == list(ARTIFACTS)
    if results["tflite-int8"]["status"] == "passed":
        pytest.skip(f"{board.emulator.name} computes int8 rightly on every CPU that it has")
    assert verified.returncode == FAILED
    assert "fails its self-test on this machine" in results["tflite-int8"]["reason"]
    assert {results[name]["status"] for name in ARTIFACTS[1:]} == {"passed"}

    assert chosen.returncode == 0, chosen.stderr
    said = chosen.stdout + chosen.stderr
    assert "onnx-int8    chosen" in said
    assert "tflite-int8  failed: Artifact tflite-int8 fails its self-test" in said


def test_altered_weights_are_noticed(board: Board, bundle: Path, tmp_path: Path) -> None:
    """What any kernel that scales wrongly does, on any emulator: the hashes are right, the answers are not."""
    from tests.convert import ruin

    altered = tmp_path / "altered.edgebert"
    shutil.copytree(bundle, altered)
    folder = altered / "artifacts/tflite-int8"
    ruin.scale_weights(folder)
    manifest = json.loads((altered / "manifest.json").read_text())
    for artifact in manifest["artifacts"]:
        if artifact["id"] == "tflite-int8":
            data = (folder / "model.tflite").read_bytes()
            artifact["files"][0] |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (altered / "manifest.json").write_text(json.dumps(manifest))

    told = ask_board(board, CPU, {"verify": [str(altered)], "choose": [{"bundle": str(altered), "text": TEXTS[0]}]})
    statuses = {one["artifact"]: one["status"] for one in told["verify"][0]}
    assert statuses == {name: "failed" if name == "tflite-int8" else "passed" for name in ARTIFACTS}
    [chosen] = told["choose"]
    assert chosen["artifact"] == "onnx-int8"
    [warning] = chosen["warnings"]
    assert "tflite-int8" in warning
    assert "fails its self-test on this machine" in warning


def test_it_is_the_kernel_and_not_the_file(board: Board, bundle: Path) -> None:
    """The same CPU without SME has the int8 matrix product, SVE2 and bf16, and every artifact passes."""
    told = ask_board(board, "max,sme=off", {"verify": [str(bundle)]})
    assert {"i8mm", "sve2", "bf16"} <= set(told["machine"]["isa"])
    assert "sme" not in told["machine"]["isa"]
    assert [one["status"] for one in told["verify"][0]] == ["passed"] * len(ARTIFACTS)
