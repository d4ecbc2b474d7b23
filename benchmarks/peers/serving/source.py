"""What a peer is made of, and what it must do when served."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Protocol

    class Server(Protocol):
        """A peer that is loaded. Labels are the names that the checkpoint's ``config.json`` gives."""

        def one(self, text: str) -> str:
            """The label of one text, batch 1."""

        def many(self, texts: list[str], batch_size: int) -> list[str]:
            """The labels of many texts, in their order, by the peer's bulk mode."""

        def facts(self) -> dict[str, Any]:
            """What it says of itself: versions, threads, arithmetic."""


CALIBRATION_TEXTS = 300
"""What NNCF's examples take: its default ``subset_size``."""


class Source:
    """What ``prepare`` starts from.

    Args:
        checkpoint: a Hugging Face folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
        data: the folder of SST-2's ``train.tsv``, which calibration texts are from.
        needs: the files of the peer that the catalogue says this one is made of, or ``None``.
    """

    def __init__(self, checkpoint: Path, data: Path, needs: Path | None) -> None:
        self.checkpoint = checkpoint
        self.data = data
        self._needs = needs

    @property
    def needed(self) -> Path:
        """The files of the peer that this one is made of."""
        if self._needs is None:
            raise ValueError("the catalogue says that this peer needs no other")
        return self._needs

    def calibration(self) -> list[str]:
        """Texts spread evenly over the training set."""
        lines = (self.data / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
        step = max(len(lines) // CALIBRATION_TEXTS, 1)
        return [line.rpartition("\t")[0] for line in lines[::step]][:CALIBRATION_TEXTS]


def versions(*names: str) -> dict[str, str]:
    """Installed versions of distributions."""
    from importlib import metadata

    return {name: metadata.version(name) for name in names}
