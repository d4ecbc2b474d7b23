"""The functions of the module, and the logger that it has itself."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tests.jetson.fake_tensorrt.strict import Api, dims

_NUMPY = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
}


def nptype(_: Api, trt_type: Any) -> type:
    """The type of numpy; as in the real one, a type that numpy has not is an error."""
    found = _NUMPY.get(trt_type.name)
    if found is None:
        raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
    return found


def volume(_: Api, iterable: Iterable[int]) -> int:
    """The product."""
    return math.prod(dims(iterable))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "get_nv_onnx_parser_version": lambda api: api.major * 100,
    "init_libnvinfer_plugins": lambda api, logger, namespace: True,
    "nptype": nptype,
    "volume": volume,
}


class Logger:
    """``Logger``."""

    def __init__(self, api: Api, min_severity: Any = None) -> None:
        self.min_severity = api.module.ILogger.Severity.WARNING if min_severity is None else min_severity

    def log(self, severity: Any, msg: str) -> None:
        if int(severity) <= int(self.min_severity):
            sys.stderr.write(f"[TRT] [{severity.name[0]}] {msg}\n")


CLASSES: dict[str, Any] = {"Logger": Logger}
