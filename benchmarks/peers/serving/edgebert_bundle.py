"""EdgeBERT: a bundle, as it is; ``variant`` pins an artifact, or is empty for its own choice."""

from __future__ import annotations

import edgebert

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def serve(files: str, variant: str, threads: int) -> EdgebertServer:
    """Load."""
    return EdgebertServer(edgebert.load(files, artifact=variant or None, threads=threads, strict=bool(variant)))


class EdgebertServer:
    """A loaded bundle."""

    def __init__(self, model: edgebert.Model) -> None:
        self._model = model

    def one(self, text: str) -> str:
        """The label of one text."""
        return str(self._model(text)[0]["label"])

    def many(self, texts: list[str], batch_size: int) -> list[str]:
        """The labels of many texts, streamed."""
        return [str(found["label"]) for found in self._model.stream(texts, batch_size=batch_size)]

    def facts(self) -> dict[str, Any]:
        """What ``explain`` tells."""
        from serving.source import versions

        told = self._model.explain()
        ranking = f"edgebert tune, for {told.tuned.objective}" if told.tuned else f"profile {told.profile}"
        return {
            **versions("tokenizers", "numpy"),
            "edgebert": edgebert.__version__,
            told.facts.distribution: told.facts.version,
            "artifact": told.chosen,
            "ranking": ranking,
            "threads": told.facts.threads,
            **told.facts.details,
        }
