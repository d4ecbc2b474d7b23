"""A Ctrl-C that a converter's library swallows, or turns into an error of its own, still ends the conversion."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from tests.convert.pipeline.support import left


def swallow(folder: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def turn_into_an_error(folder: Path) -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise RuntimeError("callback failed") from None


@pytest.mark.parametrize("lose", [swallow, turn_into_an_error])
def test_a_lost_interrupt(run: Any, harm: dict[str, Any], copied: list[str], tmp_path: Path, lose: Any) -> None:
    harm["onnx-fp32"] = lose
    with pytest.raises(KeyboardInterrupt):
        run()
    assert copied == ["onnx-fp32"]
    assert left(tmp_path) == []
