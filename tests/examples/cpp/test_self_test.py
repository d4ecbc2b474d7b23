"""The example in C++ answers nothing with an artifact that is wrong on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebert.bundle import Shapes
from tests.examples.cpp.program import Program
from tests.runtime import tiny

pytestmark = pytest.mark.full  # half a minute to compile, as much to run

KIND = ("single_label_classification", ("NEGATIVE", "POSITIVE"))


@pytest.fixture(scope="session")
def checkpoint() -> tiny.Checkpoint:
    return tiny.make_checkpoint(*KIND)


@pytest.fixture(scope="session")
def files(checkpoint: tiny.Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return tiny.openvino_files(tiny.onnx_bytes(checkpoint), tmp_path_factory.mktemp("ir"))


@pytest.fixture(scope="session")
def pristine(checkpoint: tiny.Checkpoint, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("self_test") / "tiny.edgebert"
    return tiny.write_bundle(folder, checkpoint, [(tiny.artifact("openvino-fp32"), files)])


@pytest.fixture
def with_golden(pristine: Path, tmp_path: Path) -> Callable[[bytes], Path]:
    """``with_golden(data)``: the bundle with another ``golden.npz``, which the manifest describes."""

    def replace(data: bytes) -> Path:
        bundle = Path(shutil.copytree(pristine, tmp_path / "tiny.edgebert"))
        (bundle / "golden.npz").write_bytes(data)
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        manifest["golden"].update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return bundle

    return replace


def arrays(pristine: Path) -> dict[str, Any]:
    with np.load(pristine / "golden.npz") as archive:
        return dict(archive)


def npz(content: dict[str, Any], save: Callable[..., None] = np.savez) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **content)
    return buffer.getvalue()


def test_a_wrong_model_with_a_right_hash_is_refused(
    program: Program, checkpoint: tiny.Checkpoint, tmp_path: Path
) -> None:
    other = tiny.openvino_files(tiny.onnx_bytes(tiny.make_checkpoint(*KIND, seed=1)), tmp_path)
    bundle = tiny.write_bundle(tmp_path / "t.edgebert", checkpoint, [(tiny.artifact("openvino-fp32"), other)])
    message = program.refusal(bundle, "good")
    assert "The artifact openvino-fp32 fails its self-test on this machine: logits differ by" in message
    assert program.run(bundle, "good").stdout == b""


def test_a_difference_above_the_tolerance_is_refused_in_either_of_the_two_shortest(
    program: Program, pristine: Path, with_golden: Callable[[bytes], Path]
) -> None:
    content = arrays(pristine)
    order = np.argsort(content["attention_mask"].sum(axis=1), kind="stable")
    content["outputs.logits"][order[1], 0] += 2 * tiny.TOLERANCE
    assert "fails its self-test" in program.refusal(with_golden(npz(content)), "good")


def test_a_difference_within_the_tolerance_passes(
    program: Program, pristine: Path, with_golden: Callable[[bytes], Path]
) -> None:
    content = arrays(pristine)
    content["outputs.logits"] += np.float32(tiny.TOLERANCE / 2)
    assert program.answers(with_golden(npz(content)), "good") == program.answers(pristine, "good")


def test_no_golden_input_that_fits(
    program: Program, checkpoint: tiny.Checkpoint, files: dict[str, bytes], tmp_path: Path
) -> None:
    golden = tiny.make_golden(checkpoint, ["good " * 30])
    item = tiny.artifact("openvino-fp32", shapes=Shapes("dynamic", 16))
    bundle = tiny.write_bundle(tmp_path / "t.edgebert", checkpoint, [(item, files)], golden=golden)
    assert "cannot be tested: no golden input fits it." in program.refusal(bundle, "good")


BROKEN: dict[str, tuple[Callable[[dict[str, Any], bytes], bytes], str]] = {
    "empty": (lambda content, data: b"", "is not a ZIP archive"),
    "text": (lambda content, data: b"x" * 100, "is not a ZIP archive"),
    "cut at the front": (lambda content, data: data[-200:], "golden.npz: "),
    "compressed": (lambda content, data: npz(content, np.savez_compressed), "has a compressed entry"),
    "no mask": (lambda content, data: npz({**content, "attention_mask": None}), "attention_mask.npy is an array of"),
    "no logits": (lambda content, data: npz({"input_ids": content["input_ids"]}), "has no attention_mask.npy"),
    "int64": (lambda content, data: npz({**content, "input_ids": np.int64(content["input_ids"])}), "input_ids.npy is"),
    "rows": (lambda content, data: npz({**content, "outputs.logits": content["outputs.logits"][:1]}), "do not fit"),
    "labels": (lambda content, data: npz({**content, "outputs.logits": content["outputs.logits"][:, :1]}), "number of"),
    "nan": (lambda content, data: npz({**content, "outputs.logits": content["outputs.logits"] * np.nan}), "self-test"),
    "size": (lambda content, data: data.replace(b"(4, 2)", b"(9, 9)"), "outputs.logits.npy has another size"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_golden_data_that_breaks_the_format_is_refused(
    case: str, program: Program, pristine: Path, with_golden: Callable[[bytes], Path]
) -> None:
    change, reason = BROKEN[case]
    bundle = with_golden(change(arrays(pristine), (pristine / "golden.npz").read_bytes()))
    assert reason in program.refusal(bundle, "good")
