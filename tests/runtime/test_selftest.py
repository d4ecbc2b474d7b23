"""The golden self-test on real engines, whole and ruined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgebert.bundle import Golden, Shapes, open_bundle
from edgebert.errors import BackendError, SelfTestError
from edgebert.runtime.engines import Engine, EngineFacts
from edgebert.runtime.guard import GuardedEngine
from edgebert.runtime.selftest import self_test, self_test_bucket
from tests.runtime import tiny


@pytest.fixture(params=["onnx-fp32", "openvino-fp32", "tflite-fp32"])
def engine(request: pytest.FixtureRequest, bundle_path: Path) -> Iterator[Engine]:
    bundle = open_bundle(bundle_path)
    opened = tiny.open_engine(bundle, request.param, threads=1)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def golden(checkpoint: tiny.Checkpoint) -> Golden:
    return tiny.make_golden(checkpoint)


class Spoilt:
    """A real engine whose outputs at one input length are changed: no exporter spoils one signature on purpose."""

    def __init__(self, engine: Engine, length: int | None, change: Any) -> None:
        self._engine, self._length, self._change = engine, length, change
        self.closed = 0

    @property
    def facts(self) -> EngineFacts:
        return self._engine.facts

    @property
    def shapes(self) -> Shapes:
        return self._engine.shapes

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        outputs = self._engine.run(inputs)
        if self._length in (None, inputs["input_ids"].shape[1]):
            outputs = self._change(outputs)
        return outputs

    def close(self) -> None:
        self.closed += 1


def scaled(outputs: dict[str, Any]) -> dict[str, Any]:
    return {name: 1.1 * values for name, values in outputs.items()}


def test_a_right_engine_passes_on_every_case(engine: Engine, golden: Golden) -> None:
    result = self_test(engine, golden, tiny.TOLERANCE)
    assert result.artifact == engine.facts.artifact
    assert result.max_abs_diff < 1e-4
    assert result.tolerance == tiny.TOLERANCE
    if engine.shapes.policy == "buckets":
        assert result.lengths == tiny.BUCKETS
    else:
        rows = {int(length) for length in golden.attention_mask.sum(axis=1)}
        assert rows <= set(result.lengths)
        assert result.runs == len(golden.input_ids) + 1


def test_a_short_test_runs_the_shortest_cases(engine: Engine, golden: Golden) -> None:
    result = self_test(engine, golden, tiny.TOLERANCE, cases=2)
    assert max(result.lengths) <= tiny.BUCKETS[0]


def test_a_wrong_answer_names_artifact_difference_and_tolerance(engine: Engine, golden: Golden) -> None:
    with pytest.raises(SelfTestError) as caught:
        self_test(Spoilt(engine, None, scaled), golden, 0.001)
    for part in (engine.facts.artifact, "logits differ", "the tolerance is 0.001"):
        assert part in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda outputs: {"logits": np.full_like(outputs["logits"], np.nan)},
        lambda outputs: {"logits": np.zeros_like(outputs["logits"])},
        lambda outputs: {"logits": outputs["logits"][:, :1]},
        lambda outputs: {"scores": outputs["logits"]},
    ],
)
def test_other_wrong_outputs_fail(engine: Engine, golden: Golden, change: Any) -> None:
    with pytest.raises(SelfTestError):
        self_test(Spoilt(engine, None, change), golden, 0.001)


def test_only_the_padded_batch_is_wrong(bundle_path: Path, golden: Golden) -> None:
    bundle = open_bundle(bundle_path)
    engine = tiny.open_engine(bundle, "onnx-fp32", threads=1)

    def ruin_batches(outputs: dict[str, Any]) -> dict[str, Any]:
        return scaled(outputs) if len(outputs["logits"]) > 1 else outputs

    with pytest.raises(SelfTestError):
        self_test(Spoilt(engine, None, ruin_batches), golden, 0.001)
    engine.close()


def test_a_bucket_without_a_golden_case_is_not_trusted(bundle_path: Path, checkpoint: tiny.Checkpoint) -> None:
    bundle = open_bundle(bundle_path)
    engine = tiny.open_engine(bundle, "tflite-fp32", threads=1)
    long = tiny.make_golden(checkpoint, ["the film is not very good"])
    assert self_test(engine, long, tiny.TOLERANCE, cases=2).lengths == (8,)
    longer = tiny.make_golden(checkpoint, ["the film is not very good, is it dull?"])
    with pytest.raises(SelfTestError, match="at 8 tokens: no golden input is that short"):
        self_test(engine, longer, tiny.TOLERANCE)
    with pytest.raises(SelfTestError, match="at 8 tokens"):
        self_test_bucket(engine, longer, tiny.TOLERANCE, 8)
    engine.close()


def inputs_of(length: int) -> dict[str, NDArray[Any]]:
    return {"input_ids": np.full((1, length), 5, np.int32), "attention_mask": np.ones((1, length), np.int32)}


def test_a_single_ruined_bucket_never_answers(bundle_path: Path, golden: Golden) -> None:
    bundle = open_bundle(bundle_path)
    engine = tiny.open_engine(bundle, "tflite-fp32", threads=1)
    guarded = GuardedEngine(Spoilt(engine, 16, scaled), golden, tiny.TOLERANCE)
    for _ in range(2):
        with pytest.raises(SelfTestError, match="at 16 tokens"):
            guarded.run(inputs_of(16))
    assert guarded.run(inputs_of(8))["logits"].shape == (1, 3)
    assert guarded.run(inputs_of(64))["logits"].shape == (1, 3)
    engine.close()


def test_the_guard_closes_an_engine_that_fails_its_test(engine: Engine, golden: Golden) -> None:
    spoilt = Spoilt(engine, None, scaled)
    with pytest.raises(SelfTestError):
        GuardedEngine(spoilt, golden, tiny.TOLERANCE)
    assert spoilt.closed == 1


def test_the_guard_closes_once(engine: Engine, golden: Golden) -> None:
    spy = Spoilt(engine, -1, scaled)
    guarded = GuardedEngine(spy, golden, tiny.TOLERANCE)
    guarded.close()
    guarded.close()
    assert spy.closed == 1
    with pytest.raises(BackendError, match="closed"):
        guarded.run(inputs_of(8))


def test_an_answer_that_is_not_finite_is_an_error(bundle_path: Path, golden: Golden) -> None:
    bundle = open_bundle(bundle_path)
    engine = tiny.open_engine(bundle, "onnx-fp32", threads=1)
    spoilt = Spoilt(engine, 60, lambda outputs: {"logits": outputs["logits"] * np.inf})
    guarded = GuardedEngine(spoilt, golden, tiny.TOLERANCE)
    with pytest.raises(BackendError, match="not finite"):
        guarded.run(inputs_of(60))
    engine.close()
