"""The GPU's memory: what is taken is given back, and where there is none left, that is one error."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebert.devices.gpu import find_gpus
from tests.gpu.programs import Device

pytestmark = pytest.mark.gpu

_NOISE = 16 << 20
"""Bytes that the driver takes or gives back at times, for itself or for others."""
_SHARED_NOISE = 128 << 20
"""The same, where the GPU's memory is the system's."""


def test_closing_gives_everything_back(artifact: str, bundle: Path, device: Device, figures: list[str]) -> None:
    told = device.call("closed", bundle, artifact, cycles=4)
    first, *others = told["free"]  # what TensorRT and CUDA keep for the process is taken by the first
    lost = max(first - free for free in others)
    figures.append(f"{artifact}: {lost / 1e6:.1f} MB of the GPU's memory not given back in {len(others)} loads")
    shared = any(gpu.integrated for gpu in find_gpus().gpus)
    assert lost <= (_SHARED_NOISE if shared else _NOISE)


def test_out_of_memory_is_one_error_and_passes(any_artifact: str, bundle: Path, device: Device) -> None:
    if any(gpu.integrated for gpu in find_gpus().gpus):
        pytest.skip("the GPU's memory is the system's: to take it all would end other programs")
    told = device.call("no_memory", bundle, any_artifact)
    assert told["refused"] is not None, "it loaded without memory"
    assert "memory" in told["refused"]["message"].lower()
    assert told["refused"]["hint"]
    assert told["fallback"]["artifact"].startswith("onnx-")
    assert any(any_artifact in said for said in told["fallback"]["said"])
