"""The script that a careful user writes for ONNX Runtime: ``tokenizers``, one session, length-sorted batches.

The graph is what ``torch.onnx.export(dynamo=True)`` makes of the transformers model. ``int8`` is ONNX Runtime's own
``quantize_dynamic``; ``matmulnbits`` its 8-bit block-quantized ``MatMulNBits``, whose activations are int8 too
(``accuracy_level=4``) with scales per block, so that a text's neighbours do not change its answer.
"""

from __future__ import annotations

import numpy as np
import onnxruntime

from serving.script import Script, copy_texts, transformers_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from serving.source import Source


def prepare(source: Source, variant: str, out: Path) -> None:
    """Write ``model.onnx``."""
    copy_texts(source, out)
    {"fp32": _export, "int8": _quantize, "matmulnbits": _block_quantize}[variant](source, out)


def _export(source: Source, out: Path) -> None:
    import torch

    model = transformers_model(source)
    model.config.return_dict = False
    # Two tensors: given the same object twice, the exporter makes one input of both.
    ids, mask = torch.ones((2, 16), dtype=torch.long), torch.ones((2, 16), dtype=torch.long)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=model.config.max_position_embeddings)
    torch.onnx.export(
        model,
        (),
        str(out / "model.onnx"),
        kwargs={"input_ids": ids, "attention_mask": mask},
        dynamo=True,
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes={"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}},
        verbose=False,
    )


def _exported(source: Source) -> Any:  # noqa: ANN401 (onnx is only in the environment that exports)
    import onnx

    model = onnx.load(source.needed / "model.onnx")
    # quantize_dynamic refuses the exporter's: "Inferred shape and existing shape differ".
    del model.graph.value_info[:]
    return model


def _quantize(source: Source, out: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from serving.cpu import saturates

    plain = out / "float.onnx"
    onnx.save_model(_exported(source), plain)
    quantize_dynamic(plain, out / "model.onnx", per_channel=True, reduce_range=saturates(), weight_type=QuantType.QInt8)
    plain.unlink()


def _block_quantize(source: Source, out: Path) -> None:
    from onnxruntime.quantization import QuantFormat
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    config = DefaultWeightOnlyQuantConfig(
        block_size=128, is_symmetric=True, accuracy_level=4, bits=8, quant_format=QuantFormat.QOperator
    )
    quantizer = MatMulNBitsQuantizer(_exported(source), algo_config=config)
    quantizer.process()
    quantizer.model.save_model_to_file(str(out / "model.onnx"), use_external_data_format=False)


def serve(files: str, variant: str, threads: int) -> OrtScript:
    """Load."""
    return OrtScript(files, threads)


class OrtScript(Script):
    """One session."""

    def __init__(self, files: str, threads: int) -> None:
        super().__init__(files)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(f"{files}/model.onnx", options, providers=["CPUExecutionProvider"])

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """See the base class."""
        result: NDArray[np.float32] = self._session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
        return result

    def facts(self) -> dict[str, Any]:
        """Versions and threads."""
        from serving.source import versions

        options = self._session.get_session_options()
        return {**versions("onnxruntime", "tokenizers", "numpy"), "threads": options.intra_op_num_threads}
