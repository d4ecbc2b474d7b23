"""The answers of the plans are the checkpoint's: on real texts, on the rows on which masks overflow, in any thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebert.bundle import open_bundle
from tests.gpu.conftest import Plans
from tests.gpu.programs import Device

pytestmark = pytest.mark.gpu

_MOST = {"tensorrt-fp32": 1e-3, "tensorrt-fp16": 1e-2}
"""Largest difference of a logit from float32, as a share of the largest logit where that is above 1."""
_LEAST_AGREEMENT = {"tensorrt-fp32": 1.0, "tensorrt-fp16": 1.0, "tensorrt-int8": 0.97}
_SAME = 1e-5
"""Of two runs of the same kernels. They may sum in another order, and no more."""


def _some(texts: list[str]) -> list[str]:
    """Texts of all lengths."""
    return texts[:: len(texts) // 24]


def test_parity_with_onnx_runtime(
    artifact: str,
    bundle: Path,
    device: Device,
    texts: list[str],
    reference: list[list[float]],
    figures: list[str],
) -> None:
    got = np.array(device.call("logits", bundle, artifact, texts=texts)["logits"])
    expected = np.array(reference)
    assert got.shape == expected.shape
    assert np.isfinite(got).all()
    largest = float(np.abs(got - expected).max())
    agreement = float((got.argmax(axis=1) == expected.argmax(axis=1)).mean())
    figures.append(f"{artifact}: max |difference| {largest:.2g}, labels {agreement:.4f}, on {len(texts)} texts")
    assert agreement >= _LEAST_AGREEMENT[artifact]
    if artifact in _MOST:
        assert largest <= _MOST[artifact] * max(1.0, float(np.abs(expected).max()))
    else:
        # The manifest's tolerance is for its golden texts; the conversion measured a difference on more of them.
        described = open_bundle(bundle).manifest.artifact(artifact)
        assert largest <= max(described.tolerance, 2 * described.evidence.max_abs_diff)


def test_masks_do_not_overflow(artifact: str, bundle: Path, device: Device) -> None:
    told = device.call("edges", bundle, artifact)
    assert told["runs"] == 3 * len(open_bundle(bundle).manifest.artifact(artifact).shapes.buckets)
    assert told["bad"] == []


def test_sixteen_threads_answer_as_one(artifact: str, bundle: Path, device: Device, texts: list[str]) -> None:
    told = device.call("threads", bundle, artifact, texts=_some(texts), count=16)
    assert told["answers"] == 16 * len(_some(texts))
    assert told["largest"] <= _SAME


def test_cuda_graphs_change_nothing(
    any_artifact: str, bundle: Path, device: Device, texts: list[str], figures: list[str]
) -> None:
    # Each length is run more than once: the first run records the graph.
    some = [text for text in _some(texts) for _ in range(2)]
    with_graphs = device.call("logits", bundle, any_artifact, texts=some)
    without = device.call("logits", bundle, any_artifact, texts=some, variables={"EDGEBERT_CUDA_GRAPHS": "0"})
    figures.append(f"{any_artifact}: CUDA graphs: {with_graphs['details']['CUDA graphs']}")
    assert without["details"]["CUDA graphs"].startswith("off")
    assert np.abs(np.array(with_graphs["logits"]) - np.array(without["logits"])).max() <= _SAME


def test_workers_that_fork_before_they_load(any_artifact: str, bundle: Path, device: Device, plans: Plans) -> None:
    alone = device.call("first_answer", bundle, any_artifact)["answer"]
    for answer in device.call("forked", bundle, any_artifact, count=2)["answers"]:
        assert answer is not None, "a worker failed"
        assert answer[0] == alone[0]
        assert answer[1] == pytest.approx(alone[1], abs=_SAME)
