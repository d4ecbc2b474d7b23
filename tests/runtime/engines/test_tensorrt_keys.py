"""A plan that was not built for exactly this is never given to TensorRT, nor is anything without a driver."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jetson import fake_cudart
from tests.jetson.board import FakeBoard
from tests.runtime.engines.on_board import VERSIONS, Board, use


def change_gpu(orin: FakeBoard, bundle: Path) -> None:
    orin.put_driver(GPUS='"Orin NX"')


def change_capability(orin: FakeBoard, bundle: Path) -> None:
    orin.put_driver(MINORS="9")


def change_driver(orin: FakeBoard, bundle: Path) -> None:
    orin.put_driver(VERSION="12080")


def change_cuda(orin: FakeBoard, bundle: Path) -> None:
    fake_cudart.build(orin.folder / "lib", "libcudart.so.12", 12080)


def change_tensorrt(orin: FakeBoard, bundle: Path) -> None:
    shutil.rmtree(orin.folder / "python")
    FakeBoard(orin.folder, "11")


def change_recipe(orin: FakeBoard, bundle: Path) -> None:
    replace_file(bundle, "artifacts/tensorrt-fp16/recipe.json", b'"workspace_mb": 64', b'"workspace_mb": 65')


def change_artifact(orin: FakeBoard, bundle: Path) -> None:
    replace_file(bundle, "artifacts/tensorrt-fp16/model.onnx", b"pytorch", b"qytorch")


def replace_file(bundle: Path, name: str, old: bytes, new: bytes) -> None:
    """Changes a file of a bundle, and what the manifest says of it."""
    before = (bundle / name).read_bytes()
    assert old in before
    after = before.replace(old, new, 1)
    (bundle / name).write_bytes(after)
    manifest = (bundle / "manifest.json").read_text()
    digests = [hashlib.sha256(data).hexdigest() for data in (before, after)]
    assert digests[0] in manifest
    (bundle / "manifest.json").write_text(manifest.replace(*digests))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_gpu, "foreign: gpu was 'Orin' and is 'Orin NX'"),
        (change_capability, "foreign: compute_capability was (8, 7) and is (8, 9)"),
        (change_driver, "stale: cuda_driver was '12.6' and is '12.8'"),
        (change_cuda, "stale: cuda_runtime was '12.6' and is '12.8'"),
        (change_tensorrt, "stale: tensorrt was '10.3.0' and is '11"),
        (change_recipe, "stale: artifact was "),
        (change_artifact, ""),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_plan_is_never_deserialized_when_a_part_of_its_key_has_changed(
    change: Callable[[FakeBoard, Path], None], said: str, board: Board, jetson_bundle: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(jetson_bundle, bundle)
    orin = board()
    assert orin.edgebert("build-plan", bundle).returncode == 0
    assert use(orin, bundle)["artifact"] == "tensorrt-fp16"
    change(orin, bundle)
    orin.forget()
    told = use(orin, bundle)
    assert told["artifact"] == "onnx-fp32"
    assert "No plan of tensorrt-fp16 is built on this device" in told["warnings"][0]
    if change not in (change_recipe, change_artifact):  # another artifact is another plan: nothing of it lies there
        assert said in told["warnings"][0]
    assert orin.calls() == []


@pytest.mark.parametrize("damage", ["flipped", "cut short", "longer", "open to others", "a link"])
def test_a_damaged_plan_is_never_deserialized(damage: str, board: Board, jetson_bundle: Path) -> None:
    orin = board()
    assert orin.edgebert("build-plan", jetson_bundle).returncode == 0
    [plan] = orin.plans.glob("*.plan")
    data = plan.read_bytes()
    if damage == "flipped":
        plan.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif damage == "cut short":
        plan.write_bytes(data[:-1])
    elif damage == "longer":
        plan.write_bytes(data + b"\0")
    elif damage == "open to others":
        plan.chmod(0o622)
    else:
        plan.rename(plan.with_suffix(".old"))
        plan.symlink_to(plan.with_suffix(".old"))
    orin.forget()
    told = use(orin, jetson_bundle)
    assert told["artifact"] == "onnx-fp32"
    kind = "foreign" if damage in ("open to others", "a link") else "corrupted"
    assert f"the plan at '{plan}' is {kind}" in told["warnings"][0]
    assert orin.calls() == []
    assert use(orin, jetson_bundle, build=True)["artifact"] == "tensorrt-fp16"


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_driver_nothing_of_tensorrt_is_called(version: str, board: Board, jetson_bundle: Path) -> None:
    orin = board(version)
    assert orin.edgebert("build-plan", jetson_bundle).returncode == 0
    orin.remove_driver()
    orin.forget()
    told = use(orin, jetson_bundle, build=True)
    assert (told["artifact"], told["warnings"]) == ("onnx-fp32", [])
    assert told["verdicts"]["tensorrt-fp16"] == [
        "cannot run",
        "needs an NVIDIA GPU; there is no NVIDIA driver (libcuda.so.1)",
    ]
    # Nor does an engine that is opened by hand, past the selection.
    code = """
import sys, edgebert
from edgebert.bundle import open_bundle
from edgebert.devices import find_runtimes
from edgebert.runtime.engines import build_engine
bundle = open_bundle(sys.argv[1])
artifact = bundle.manifest.artifact("tensorrt-fp16")
[runtime] = find_runtimes("tensorrt")
try:
    build_engine(artifact, [bundle.file(ref) for ref in artifact.files], 1, runtime)
except edgebert.BackendError as error:
    print(error)
"""
    assert "There is no NVIDIA driver (libcuda.so.1)" in orin.python(code, jetson_bundle).stdout
    assert orin.calls() == []
