"""The OpenVINO pipeline of ``optimum-intel`` 2.2: its own export, and its static int8 with calibration."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from serving.source import Source
    from serving.transformers_pipeline import PipelineServer


def prepare(source: Source, variant: str, out: Path) -> None:
    """Write ``openvino_model.xml``, its configuration and the tokenizer."""
    from transformers import AutoTokenizer

    {"fp32": _export, "int8": _quantize}[variant](source, out)
    AutoTokenizer.from_pretrained(source.checkpoint).save_pretrained(out)


def _export(source: Source, out: Path) -> None:
    from optimum.intel import OVModelForSequenceClassification

    model = OVModelForSequenceClassification.from_pretrained(
        source.checkpoint, export=True, compile=False, load_in_8bit=False
    )
    model.save_pretrained(out)


def _quantize(source: Source, out: Path) -> None:
    import nncf
    import numpy as np
    from optimum.intel import OVConfig, OVModelForSequenceClassification, OVQuantizationConfig, OVQuantizer
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.checkpoint)
    rows = [dict(tokenizer(text, truncation=True, return_tensors="np")) for text in source.calibration()]
    names = ("input_ids", "attention_mask")
    calibration = nncf.Dataset([{name: row[name].astype(np.int64) for name in names} for row in rows])
    model = OVModelForSequenceClassification.from_pretrained(source.needed, compile=False)
    OVQuantizer.from_pretrained(model).quantize(
        calibration_dataset=calibration,
        ov_config=OVConfig(quantization_config=OVQuantizationConfig(num_samples=len(rows))),
        save_directory=out,
    )


def serve(files: str, variant: str, threads: int) -> PipelineServer:
    """Load."""
    from optimum.intel import OVModelForSequenceClassification
    from transformers import AutoTokenizer, pipeline

    from serving.transformers_pipeline import PipelineServer

    model = OVModelForSequenceClassification.from_pretrained(
        files, ov_config={"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    )
    classify = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(files))
    distributions = ("optimum-intel", "openvino", "nncf", "transformers", "torch", "tokenizers")
    compiled = model.request if hasattr(model.request, "get_property") else model.request.get_compiled_model()
    facts = {
        "threads": int(compiled.get_property("INFERENCE_NUM_THREADS")),
        "inference precision": compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(),
    }
    return PipelineServer(classify, distributions, facts)
