"""The script that a careful user writes for LiteRT: ``litert-torch`` of the transformers model, fixed lengths.

There is a file per batch size, opened when it is needed, so that serving one text at a time does not pay for the other.
Each has a signature per length, which share the weights; a text takes the shortest that it fits into. ``int8`` is the
dynamic recipe of ``ai-edge-quantizer``: int8 weights, activations quantized while running, with a scale per token.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from serving.script import Script, copy_texts, transformers_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from serving.source import Source

LENGTHS = (16, 32, 64, 128)
BATCHES = (1, 8)


def prepare(source: Source, variant: str, out: Path) -> None:
    """Write ``batch_1.tflite`` and ``batch_8.tflite``."""
    copy_texts(source, out)
    {"fp32": _convert, "int8": _quantize}[variant](source, out)


def _convert(source: Source, out: Path) -> None:
    import litert_torch
    import torch

    class Logits(torch.nn.Module):  # type: ignore[misc, unused-ignore]  # torch is only where models are exported
        def __init__(self, model: Any) -> None:  # noqa: ANN401
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:  # noqa: ANN401
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    model = Logits(transformers_model(source)).eval()
    for batch in BATCHES:
        converter = litert_torch
        for length in LENGTHS:
            example = {name: torch.ones((batch, length), dtype=torch.long) for name in ("input_ids", "attention_mask")}
            converter = converter.signature(f"length_{length}", model, sample_kwargs=example)
        converter.convert().export(str(out / f"batch_{batch}.tflite"))


def _quantize(source: Source, out: Path) -> None:
    from ai_edge_quantizer import quantizer, recipe

    for batch in BATCHES:
        job = quantizer.Quantizer(str(source.needed / f"batch_{batch}.tflite"))
        job.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        (out / f"batch_{batch}.tflite").write_bytes(job.quantize().quantized_model)


def serve(files: str, variant: str, threads: int) -> LiteRtScript:
    """Load."""
    return LiteRtScript(files, threads)


class LiteRtScript(Script):
    """An interpreter per batch size. Batches that are not full are filled with rows that count nothing."""

    def __init__(self, files: str, threads: int) -> None:
        super().__init__(files, LENGTHS[-1])
        self._files = files
        self._threads = threads
        self._interpreters: dict[int, Interpreter] = {}
        self._runners: dict[tuple[int, int], Any] = {}
        self._runner(BATCHES[0], LENGTHS[0])

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """See the base class."""
        rows, width = ids.shape
        batch = next(size for size in BATCHES if size >= rows)
        length = next(size for size in LENGTHS if size >= width)
        padded = {}
        for name, array in (("input_ids", ids), ("attention_mask", mask)):
            padded[name] = np.zeros((batch, length), np.int32)
            padded[name][:rows, :width] = array
        padded["attention_mask"][rows:, 0] = 1  # a row without any token has no attention to share out
        [result] = self._runner(batch, length)(**padded).values()
        logits: NDArray[np.float32] = result[:rows]
        return logits

    def _runner(self, batch: int, length: int) -> Any:  # noqa: ANN401 (the package has no types)
        if batch not in self._interpreters:
            path = f"{self._files}/batch_{batch}.tflite"
            self._interpreters[batch] = Interpreter(path, num_threads=self._threads)
        if (batch, length) not in self._runners:
            runner = self._interpreters[batch].get_signature_runner(f"length_{length}")
            self._runners[batch, length] = runner
        return self._runners[batch, length]

    def facts(self) -> dict[str, Any]:
        """Versions and threads."""
        from serving.source import versions

        return {**versions("ai-edge-litert", "tokenizers", "numpy"), "threads": self._threads}
