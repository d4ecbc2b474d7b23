"""The pipeline of ``transformers`` on torch, in float32."""

from __future__ import annotations

import torch
import transformers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def serve(files: str, variant: str, threads: int) -> PipelineServer:
    """Load the checkpoint itself."""
    torch.set_num_threads(threads)
    classify = transformers.pipeline("text-classification", model=files, device="cpu", dtype=torch.float32)
    return PipelineServer(classify, ("transformers", "torch", "tokenizers"), {"threads": torch.get_num_threads()})


class PipelineServer:
    """A ``transformers`` pipeline, whatever it computes with.

    Args:
        classify: the pipeline.
        distributions: whose versions to tell.
        facts: what else to tell.
    """

    def __init__(self, classify: Any, distributions: tuple[str, ...], facts: dict[str, Any]) -> None:  # noqa: ANN401
        self._classify = classify
        self._distributions = distributions
        self._facts = facts

    def one(self, text: str) -> str:
        """The label of one text."""
        return str(self._classify(text)[0]["label"])

    def many(self, texts: list[str], batch_size: int) -> list[str]:
        """The labels of many texts: the pipeline's own batching, which keeps their order."""
        return [str(found["label"]) for found in self._classify(texts, batch_size=batch_size)]

    def facts(self) -> dict[str, Any]:
        """Versions, and what was given."""
        from serving.source import versions

        return {**versions(*self._distributions), **self._facts}
