"""Asking NVIDIA's driver which GPUs there are: a program of its own, ``python libcuda.py LIBRARY``, that prints JSON.

It is run in a process of its own (by ``edgebert.devices.gpu``), since the driver is foreign code that may crash or hang
in ``cuInit``, and since a process that has called ``cuInit`` cannot use CUDA in its forked children any more. It
imports the standard library alone, so that it starts without the package, and makes no CUDA context, which would cost
seconds and hundreds of megabytes. The functions and numbers are those of the CUDA driver API (``cuda.h``).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from typing import Any

_NAME_BYTES = 256
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
_INTEGRATED = 18  # CU_DEVICE_ATTRIBUTE_INTEGRATED
_CAPABILITY_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
_CAPABILITY_MINOR = 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR


class _DriverError(Exception):
    """The driver is there and gives no answer; the message says why, and the code is its own, or 0."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def ask(library: str) -> dict[str, Any]:
    """What the driver says.

    Args:
        library: the driver's shared library, by name or path.

    Returns:
        ``driver`` (whether there is one), ``problem`` (``None``, or why it tells of no GPU), ``cuda`` (the version of
        its API, as in 12020 for 12.2; 0 when unknown) and ``gpus``: a list of ``name``, ``capability`` [major, minor],
        ``memory`` in bytes and ``integrated``.
    """
    answer: dict[str, Any] = {"driver": False, "problem": None, "cuda": 0, "gpus": []}
    try:
        cuda = ctypes.CDLL(library)
    except OSError as error:
        reason = str(error)
        # As glibc and musl say it. Where another library is missing, the driver is there and damaged.
        absent = (f"{library}: cannot open shared object file", f"Error loading shared library {library}: No such file")
        answer["driver"] = not reason.startswith(absent)
        answer["problem"] = f"{library} cannot be loaded: {reason}" if answer["driver"] else None
        return answer
    answer["driver"] = True
    try:
        version = ctypes.c_int()
        _call(cuda, "cuDriverGetVersion", ctypes.byref(version))
        answer["cuda"] = version.value
        _call(cuda, "cuInit", ctypes.c_uint(0))
        count = ctypes.c_int()
        _call(cuda, "cuDeviceGetCount", ctypes.byref(count))
        answer["gpus"] = [_gpu(cuda, ordinal) for ordinal in range(count.value)]
    except _DriverError as error:
        answer["problem"] = None if error.code == _NO_DEVICE else str(error)
    return answer


def _gpu(cuda: ctypes.CDLL, ordinal: int) -> dict[str, Any]:
    device = ctypes.c_int()
    _call(cuda, "cuDeviceGet", ctypes.byref(device), ctypes.c_int(ordinal))
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _call(cuda, "cuDeviceGetName", name, ctypes.c_int(_NAME_BYTES), device)
    memory = ctypes.c_size_t()
    _call(cuda, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    return {
        "name": name.value.decode("utf-8", "replace"),
        "capability": [_attribute(cuda, number, device) for number in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR)],
        "memory": memory.value,
        "integrated": bool(_attribute(cuda, _INTEGRATED, device)),
    }


def _attribute(cuda: ctypes.CDLL, number: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _call(cuda, "cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(number), device)
    return value.value


def _call(cuda: ctypes.CDLL, name: str, *arguments: object) -> None:
    code = _function(cuda, name)(*arguments)
    if code:
        raise _DriverError(f"{name} says {code}{_error_name(cuda, code)}", code)


def _function(cuda: ctypes.CDLL, name: str) -> Callable[..., int]:
    try:
        function = getattr(cuda, name)
    except AttributeError:
        raise _DriverError(f"the driver is too old: it has no {name}") from None
    return function  # type: ignore[no-any-return]


def _error_name(cuda: ctypes.CDLL, code: int) -> str:
    text = ctypes.c_char_p()
    try:
        unknown = _function(cuda, "cuGetErrorName")(ctypes.c_int(code), ctypes.byref(text))
    except _DriverError:  # before CUDA 6
        return ""
    return "" if unknown or not text.value else f" ({text.value.decode('ascii', 'replace')})"


if __name__ == "__main__":
    # What the driver prints goes to standard error.
    with os.fdopen(os.dup(1), "w", encoding="ascii") as answer_file:
        os.dup2(2, 1)
        json.dump(ask(sys.argv[1]), answer_file)
