"""Data that comes with EdgeBERT: a small trained checkpoint and a calibration text set."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def default_checkpoint() -> Path:
    """The folder of the embedded DistilBERT sentiment checkpoint, in Hugging Face's form.

    Its ``README.md`` says how it was made and what it is good for.
    """
    return Path(str(files(__name__))) / "default"


def calibration_texts() -> list[str]:
    """The built-in calibration texts, in the order of ``calibration.txt``."""
    return (files(__name__) / "calibration.txt").read_text(encoding="utf-8").splitlines()
