"""Data that comes with EdgeBERT: a small trained checkpoint and a calibration text set."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from edgebert.errors import CheckpointError


def default_checkpoint() -> Path:
    """The folder of the embedded DistilBERT sentiment checkpoint, in Hugging Face's form.

    Its ``README.md`` says how it was made and what it is good for.

    Raises:
        CheckpointError: it is not there, as in the wheel for devices, which leaves it out.
    """
    folder = Path(str(files(__name__))) / "default"
    if not (folder / "model.safetensors").is_file():
        raise CheckpointError(
            "This installation has no embedded checkpoint: the wheel for devices leaves it out.",
            hint='Run this on a build host with the whole of EdgeBERT: pip install "edgebert[convert]"',
        )
    return folder


def calibration_texts() -> list[str]:
    """The built-in calibration texts, in the order of ``calibration.txt``."""
    return (files(__name__) / "calibration.txt").read_text(encoding="utf-8").splitlines()
