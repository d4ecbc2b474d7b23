"""What each engine promises beyond right answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebert.bundle import open_bundle
from edgebert.devices import find_runtimes
from edgebert.errors import BackendError
from edgebert.runtime.engines import ENGINES, Engine, build_engine
from edgebert.runtime.engines.base import run_engine
from tests.runtime import tiny

ARTIFACTS = ["onnx-fp32", "openvino-fp32", "tflite-fp32"]
LENGTH = tiny.BUCKETS[0]


@pytest.fixture(params=ARTIFACTS)
def engine(request: pytest.FixtureRequest, bundle_path: Path) -> Iterator[Engine]:
    bundle = open_bundle(bundle_path)
    opened = tiny.open_engine(bundle, request.param, threads=2)
    yield opened
    opened.close()


def inputs_of(fill: int, dtype: type = np.int32) -> dict[str, np.ndarray]:
    return {"input_ids": np.full((1, LENGTH), fill, dtype), "attention_mask": np.ones((1, LENGTH), dtype)}


def test_facts_tell_what_runs(engine: Engine) -> None:
    facts = engine.facts
    assert facts.backend == facts.artifact.split("-")[0]
    assert facts.version in [r.version for r in find_runtimes(facts.backend) if r.distribution == facts.distribution]
    assert facts.threads == 2
    assert facts.device == "CPU"
    told = {
        "onnx": {"providers": "CPUExecutionProvider"},
        "openvino": {"inference precision": "f32", "streams": "1"},
        "tflite": {"XNNPACK": "applied"},
    }
    assert facts.details == told[facts.backend]


def test_outputs_are_the_callers_own(engine: Engine) -> None:
    first = engine.run(inputs_of(5))["logits"]
    kept = first.copy()
    second = engine.run(inputs_of(9))["logits"]
    assert np.array_equal(first, kept)
    assert not np.array_equal(first, second)


def test_inputs_of_another_integer_type_are_cast(engine: Engine) -> None:
    expected = engine.run(inputs_of(5))["logits"]
    assert np.array_equal(engine.run(inputs_of(5, np.int64))["logits"], expected)


def test_other_inputs_are_refused_by_name(engine: Engine) -> None:
    inputs = inputs_of(5)
    inputs["token_type_ids"] = inputs["input_ids"]
    with pytest.raises(BackendError, match="token_type_ids"):
        engine.run(inputs)


def test_a_failure_of_the_backend_is_a_backend_error(engine: Engine) -> None:
    inputs = inputs_of(5)
    inputs["input_ids"][:] = 10**8  # no embedding has so many rows
    if engine.facts.backend == "openvino":
        inputs = {name: values[0] for name, values in inputs.items()}  # it reads any id; a missing dimension fails
    with pytest.raises(BackendError, match=engine.facts.artifact):
        run_engine(engine, inputs)


def test_a_length_that_is_no_bucket_is_refused(bundle_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    engine = tiny.open_engine(bundle, "tflite-fp32", threads=1)
    ones = np.ones((1, 9), np.int32)
    with pytest.raises(BackendError, match=r"8, 16, 64 tokens.*\(1, 9\)"):
        engine.run({"input_ids": ones, "attention_mask": ones})
    engine.close()


@pytest.mark.parametrize("artifact_id", ARTIFACTS)
def test_broken_files_are_a_backend_error(artifact_id: str, bundle_path: Path, tmp_path: Path) -> None:
    item = open_bundle(bundle_path).manifest.artifact(artifact_id)
    files = []
    for ref in item.files:
        file = tmp_path / Path(ref.path).name
        file.write_bytes((bundle_path / ref.path).read_bytes()[: ref.size // 2])
        files.append(file)
    [runtime, *_] = find_runtimes(item.backend)
    with pytest.raises(BackendError, match=f"{artifact_id} cannot be opened"):
        build_engine(item, files, 1, runtime)
    with pytest.raises(BackendError, match=r"0 \.\w+ files"):
        build_engine(item, [], 1, runtime)


def test_missing_signatures_are_named(bundle_path: Path) -> None:
    bundle = open_bundle(bundle_path)
    item = bundle.manifest.artifact("tflite-fp32")
    wider = replace(item, shapes=replace(item.shapes, buckets=(8, 32, 64)))
    [runtime, *_] = find_runtimes("tflite")
    with pytest.raises(BackendError, match="lacks the signatures length_32"):
        build_engine(wider, [bundle.file(ref) for ref in item.files], 1, runtime)


def test_every_backend_with_an_engine_is_known_to_devices() -> None:
    assert all(find_runtimes(backend) for backend in ENGINES)


def test_opening_openvino_sends_no_telemetry() -> None:
    """A fresh process, since this one may have imported it through the conversion tools."""
    code = (
        "import sys\n"
        "from edgebert.runtime.engines.openvino import import_openvino\n"
        "import_openvino()\n"
        "assert 'openvino' in sys.modules\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'openvino_telemetry']\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"
