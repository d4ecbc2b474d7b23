"""The ONNX Runtime pipeline of ``optimum-onnx`` 0.1: its own export, and its dynamic int8."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from serving.source import Source
    from serving.transformers_pipeline import PipelineServer

_CLASS_OF_TRANSFORMERS_5 = "TokenizersBackend"


def prepare(source: Source, variant: str, out: Path) -> None:
    """Write ``model.onnx``, its configuration and the tokenizer."""
    {"fp32": _export, "int8": _quantize}[variant](source, out)
    write_tokenizer(source.checkpoint, out)


def _export(source: Source, out: Path) -> None:
    from optimum.onnxruntime import ORTModelForSequenceClassification

    ORTModelForSequenceClassification.from_pretrained(source.checkpoint, export=True).save_pretrained(out)


def _quantize(source: Source, out: Path) -> None:
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    from serving.cpu import flags

    found = flags()
    if "avx512_vnni" in found:
        make = AutoQuantizationConfig.avx512_vnni
    elif "avx512f" in found:
        make = AutoQuantizationConfig.avx512
    else:
        make = AutoQuantizationConfig.avx2 if "avx2" in found else AutoQuantizationConfig.arm64
    quantizer = ORTQuantizer.from_pretrained(source.needed, file_name="model.onnx")
    quantizer.quantize(save_dir=out, quantization_config=make(is_static=False, per_channel=True), file_suffix="")


def write_tokenizer(checkpoint: Path, out: Path) -> None:
    """Copy the tokenizer so that ``transformers`` 4 loads it.

    Version 5 saves ``tokenizer_class: TokenizersBackend``, which 4 does not know. What it means is the tokenizer of
    ``tokenizer.json``, which 4 calls ``PreTrainedTokenizerFast``; the inputs that the model takes are named, since
    that class would add a third one. Other classes stay as they are.
    """
    (out / "tokenizer.json").write_bytes((checkpoint / "tokenizer.json").read_bytes())
    path = checkpoint / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if settings.get("tokenizer_class", _CLASS_OF_TRANSFORMERS_5) == _CLASS_OF_TRANSFORMERS_5:
        known = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token", "model_max_length")
        settings = {name: settings[name] for name in known if name in settings}
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        settings["model_input_names"] = ["input_ids", "attention_mask"]
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def serve(files: str, variant: str, threads: int) -> PipelineServer:
    """Load."""
    import onnxruntime
    from optimum.onnxruntime import ORTModelForSequenceClassification, pipeline
    from transformers import AutoTokenizer

    from serving.transformers_pipeline import PipelineServer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = ORTModelForSequenceClassification.from_pretrained(files, file_name="model.onnx", session_options=options)
    classify = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(files))
    distributions = ("optimum-onnx", "optimum", "onnxruntime", "transformers", "torch", "tokenizers")
    return PipelineServer(classify, distributions, {"threads": threads})
