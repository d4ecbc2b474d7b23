"""One exporter per artifact format. Adding a backend adds a module here and a line to the table."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from edgebert.convert.exporters.base import Exported, Exporter, ExportJob

_MODULES = {"onnx": "onnx", "openvino": "openvino", "tflite": "tflite", "tensorrt": "tensorrt"}

__all__ = ["ExportJob", "Exported", "Exporter", "exporter_for"]


def exporter_for(backend: str) -> Exporter:
    """The exporter of a backend. Raises ``ImportError`` when its conversion libraries are not installed."""
    return cast(Exporter, import_module(f"{__name__}.{_MODULES[backend]}"))
