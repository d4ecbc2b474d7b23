"""What a device application imports: loading a bundle and running it."""

from __future__ import annotations

from edgebert.runtime.explanation import Explanation, Verdict
from edgebert.runtime.load import load
from edgebert.runtime.model import Model

__all__ = ["Explanation", "Model", "Verdict", "load"]
