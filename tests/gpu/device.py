"""What the suite runs on: a GPU, TensorRT, a bundle and texts; or why it cannot run."""

from __future__ import annotations

import csv
import importlib.util
import os
from pathlib import Path

from edgebert.assets import calibration_texts, default_checkpoint
from edgebert.devices import find_runtimes, version_at_least
from edgebert.devices.gpu import find_gpus
from edgebert.errors import CheckpointError

BUNDLE = "EDGEBERT_GPU_BUNDLE"
OLDEST = "8.6"
ARTIFACTS = ("tensorrt-fp32", "tensorrt-fp16", "tensorrt-int8")
REFERENCE = "onnx-fp32"
ROOT = Path(__file__).parents[2]
TARGET = Path(__file__).with_name("target.toml")

_CONVERTER = ("torch", "transformers", "optimum", "onnx", "onnxscript", "onnxruntime")


def why_not() -> str | None:
    """Why the suite cannot run on this machine; ``None`` when it can."""
    gpus = find_gpus()
    if gpus.problem is not None:
        return f"needs an NVIDIA GPU: {gpus.problem}"
    runtimes = find_runtimes("tensorrt")
    usable = [runtime for runtime in runtimes if runtime.problem is None and runtime.version]
    if not usable:
        return f"needs TensorRT: {runtimes[0].problem}"
    if not any(version_at_least(str(runtime.version), OLDEST) for runtime in usable):
        return f"needs TensorRT >= {OLDEST}; {usable[0].version} is installed"
    return why_no_bundle()


def why_no_bundle() -> str | None:
    """Why there is nothing to run; ``None`` when there is a bundle, or one can be converted here."""
    named = os.environ.get(BUNDLE)
    if named:
        return None if Path(named, "manifest.json").is_file() else f"{BUNDLE} names no bundle: '{named}'"
    missing = [name for name in _CONVERTER if importlib.util.find_spec(name) is None]
    if not missing and checkpoint() is not None:
        return None
    lacks = f"the converter is not installed ({', '.join(missing)})" if missing else "there is no checkpoint"
    source = "edgebert/assets/default"
    return (
        f"needs a bundle, and {lacks}. Make one on a build host from a checkpoint of any size, such as {source}, with "
        f"`edgebert convert {source} -t tests/gpu/target.toml -o gpu.edgebert`, copy it here, and let {BUNDLE} name it"
    )


def checkpoint() -> Path | None:
    """What to convert where no bundle is named: a classifier of real size, else the embedded one."""
    real = shared() / "checkpoints" / "distilbert-cased-sst2"
    if real.is_dir():
        return real
    try:
        return default_checkpoint()
    except CheckpointError:
        return None


def shared() -> Path:
    """The folder of the real checkpoint and of SST-2, which may be missing."""
    return Path(os.environ.get("EDGEBERT_SHARED", ROOT.parent / "shared"))


def texts() -> list[str]:
    """The dev set of SST-2 where it is at hand, else the built-in texts."""
    dev = shared() / "data" / "sst2" / "dev.tsv"
    if not dev.is_file():
        return calibration_texts()
    with dev.open(encoding="utf-8", newline="") as file:
        return [row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
