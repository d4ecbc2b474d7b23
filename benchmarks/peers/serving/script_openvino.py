"""The script that a careful user writes for OpenVINO: ``convert_model`` of the transformers model, one request.

``int8`` is NNCF's static post-training quantization in transformer mode, calibrated on training texts. The arithmetic
is what OpenVINO chooses by itself for the CPU (``facts`` tells): float32 models may run in bfloat16 where it has that.
"""

from __future__ import annotations

import numpy as np
import openvino

from serving.script import MAX_TOKENS, Script, copy_texts, transformers_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from serving.source import Source


def prepare(source: Source, variant: str, out: Path) -> None:
    """Write ``model.xml`` and ``model.bin``."""
    copy_texts(source, out)
    {"fp32": _convert, "int8": _quantize}[variant](source, out)


def _convert(source: Source, out: Path) -> None:
    import torch

    model = transformers_model(source)
    model.config.return_dict = False
    example = {name: torch.ones((2, 16), dtype=torch.long) for name in ("input_ids", "attention_mask")}
    converted = openvino.convert_model(model, example_input=example, input={name: [-1, -1] for name in example})
    openvino.save_model(converted, out / "model.xml", compress_to_fp16=False)


def _quantize(source: Source, out: Path) -> None:
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    from tokenizers import Tokenizer

    from serving.cpu import saturates

    tokenizer = Tokenizer.from_file(str(source.checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    rows = [np.array([tokenizer.encode(text).ids], np.int64) for text in source.calibration()]
    quantized = nncf.quantize(
        openvino.Core().read_model(source.needed / "model.xml"),
        nncf.Dataset([{"input_ids": ids, "attention_mask": np.ones_like(ids)} for ids in rows]),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(rows),
        advanced_parameters=AdvancedQuantizationParameters(
            overflow_fix=OverflowFix.ENABLE if saturates() else OverflowFix.DISABLE
        ),
    )
    openvino.save_model(quantized, out / "model.xml", compress_to_fp16=False)


def serve(files: str, variant: str, threads: int) -> OpenVinoScript:
    """Load."""
    return OpenVinoScript(files, threads)


class OpenVinoScript(Script):
    """One compiled model and one infer request."""

    def __init__(self, files: str, threads: int) -> None:
        super().__init__(files)
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        self._compiled = openvino.Core().compile_model(f"{files}/model.xml", "CPU", settings)
        self._request = self._compiled.create_infer_request()

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """See the base class."""
        feeds = {"input_ids": ids, "attention_mask": mask}
        result: NDArray[np.float32] = self._request.infer(feeds, share_inputs=True)[0]
        return result

    def facts(self) -> dict[str, Any]:
        """Versions, threads, and the type that it computes in."""
        from serving.source import versions

        return {
            **versions("openvino", "tokenizers", "numpy"),
            "threads": int(self._compiled.get_property("INFERENCE_NUM_THREADS")),
            "inference precision": self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(),
        }
