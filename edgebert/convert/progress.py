"""How a conversion tells where it is. The command line shows it; a program may listen."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the stages of a conversion, in order."""

    def stage(self, name: str, artifact: str | None = None) -> None:
        """A stage begins: ``"checkpoint"``, ``"graph"``, ``"export"`` and ``"measure"`` per artifact, ``"write"``."""

    def finished(self, artifact: str, status: str) -> None:
        """An artifact is done: ``"passed"``, ``"refused"`` (by the gate) or ``"failed"`` (could not be made or run)."""


class Silent:
    """Tells nobody."""

    def stage(self, name: str, artifact: str | None = None) -> None:
        """Ignored."""

    def finished(self, artifact: str, status: str) -> None:
        """Ignored."""
