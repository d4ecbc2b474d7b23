"""What the driver and the CUDA runtime tell TensorRT: through the shared libraries that the loader finds."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from tests.jetson.fake_tensorrt.strict import complain

_SONAMES = ("libcudart.so.12", "libcudart.so.13", "libcudart.so.11.0")


def problem() -> int:
    """0 when the driver works, else the error of the CUDA runtime that TensorRT would name."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 35
    return 0 if library.cuInit(0) == 0 else 100


def complain_of_driver(logger: Any, code: int) -> None:
    """What TensorRT 8.6 says before it fails."""
    text = (
        f"CUDA initialization failure with error: {code}. Please check your CUDA installation: http://docs.nvidia.com"
    )
    complain(logger, "WARNING", text)


@cache
def gpu() -> tuple[str, tuple[int, int]]:
    """Name and compute capability of the first GPU."""
    library = ctypes.CDLL("libcuda.so.1")
    library.cuInit(0)
    device, name, value = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_int()
    library.cuDeviceGet(ctypes.byref(device), 0)
    library.cuDeviceGetName(name, 256, device)
    capability = []
    for attribute in (75, 76):
        library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(value.value)
    return name.value.decode(), (capability[0], capability[1])


@cache
def cudart() -> ctypes.CDLL:
    """The CUDA runtime: the stand-in, which has functions for this one."""
    for name in _SONAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.fake_holds.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        library.fake_enqueue.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        library.fake_capturing.argtypes = (ctypes.c_void_p,)
        return library
    raise ImportError(f"{_SONAMES[0]}: cannot open shared object file: No such file or directory")


class DeviceMemory:
    """A piece of the GPU's memory that TensorRT takes for itself; ``address`` is 0 when there was not enough."""

    def __init__(self, size: int) -> None:
        address = ctypes.c_void_p()
        code = cudart().cudaMalloc(ctypes.byref(address), ctypes.c_size_t(max(size, 1)))
        self.address = (address.value or 0) if code == 0 else 0

    def free(self) -> None:
        """Gives it back; once is enough."""
        if self.address:
            cudart().cudaFree(ctypes.c_void_p(self.address))
            self.address = 0
