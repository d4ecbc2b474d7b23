"""How a distillation tells where it is. The command line shows it; a program may listen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Receives the stages of a distillation, and its steps."""

    def stage(self, text: str) -> None:
        """A stage begins; the text says which, for people."""

    def step(self, done: int, total: int, losses: Mapping[str, float]) -> None:
        """``done`` steps of ``total`` are trained; ``losses`` are the means since they were last told, or empty."""


class Silent:
    """Tells nobody."""

    def stage(self, text: str) -> None:
        """Ignored."""

    def step(self, done: int, total: int, losses: Mapping[str, float]) -> None:
        """Ignored."""
