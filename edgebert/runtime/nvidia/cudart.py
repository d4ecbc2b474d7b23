"""The CUDA runtime through ctypes: memory, streams and graphs, and nothing else of it.

Functions and numbers are those of NVIDIA's ``cuda_runtime_api.h``. Those used here have kept their signatures from CUDA
11.4 to 13.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.devices.gpu import cuda_version
from edgebert.errors import BackendError

OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation

_TO_DEVICE = 1  # cudaMemcpyHostToDevice
_TO_HOST = 2  # cudaMemcpyDeviceToHost
_NON_BLOCKING = 1  # cudaStreamNonBlocking: does not wait for what others put into the default stream
_THREAD_LOCAL = 1  # cudaStreamCaptureModeThreadLocal: other threads may allocate meanwhile
_MAJORS = {"13": "libcudart.so.13", "12": "libcudart.so.12", "11": "libcudart.so.11.0"}
_MAPPED = re.compile(r"\S*/libcudart\.so[.0-9]*$")


class CudaError(BackendError):
    """A function of CUDA failed; ``number`` is its ``cudaError_t``."""

    def __init__(self, message: str, *, hint: str = "", number: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.number = number


class CudaRuntime:
    """The CUDA runtime library of this process, on the first GPU that ``CUDA_VISIBLE_DEVICES`` leaves.

    Addresses and handles are integers. Whoever makes one gives it back. Safe to call from many threads.

    Args:
        path: the shared library, by path or as the loader finds it.

    Raises:
        CudaError: the library cannot be loaded.
    """

    def __init__(self, path: str) -> None:
        try:
            self._library = ctypes.CDLL(path)
        except OSError as error:
            raise CudaError(f"The CUDA runtime cannot be loaded: {error}.", hint=_MISSING_HINT) from error
        self.path = path

    @property
    def version(self) -> str:
        """The library's version, such as ``12.6``."""
        number = ctypes.c_int()
        self._call("cudaRuntimeGetVersion", ctypes.byref(number))
        return cuda_version(number.value)

    def free_memory(self) -> tuple[int, int]:
        """Bytes of the GPU's memory that are free, and all of them."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def allocate(self, size: int) -> int:
        """Memory of the GPU: the address of ``size`` bytes, aligned to 256.

        Raises:
            CudaError: there is not as much, with the number ``OUT_OF_MEMORY``.
        """
        address = ctypes.c_void_p()
        self._call("cudaMalloc", ctypes.byref(address), ctypes.c_size_t(size), size=size)
        return address.value or 0

    def free(self, address: int) -> None:
        """Gives memory of the GPU back."""
        self._call("cudaFree", ctypes.c_void_p(address))

    def allocate_pinned(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[int, NDArray[Any]]:
        """Memory of the host that the GPU copies from and to by itself: its address, and an array in it.

        The array must not be used any more after :meth:`free_pinned`.
        """
        size = max(int(np.prod(shape)) * dtype.itemsize, 1)
        address = ctypes.c_void_p()
        self._call("cudaHostAlloc", ctypes.byref(address), ctypes.c_size_t(size), ctypes.c_uint(0), size=size)
        memory = (ctypes.c_byte * size).from_address(address.value or 0)
        return address.value or 0, np.ndarray(shape, dtype, buffer=memoryview(memory))

    def free_pinned(self, address: int) -> None:
        """Gives pinned memory back."""
        self._call("cudaFreeHost", ctypes.c_void_p(address))

    def create_stream(self) -> int:
        """A stream of its own."""
        stream = ctypes.c_void_p()
        self._call("cudaStreamCreateWithFlags", ctypes.byref(stream), ctypes.c_uint(_NON_BLOCKING))
        return stream.value or 0

    def destroy_stream(self, stream: int) -> None:
        """Gives a stream back."""
        self._call("cudaStreamDestroy", ctypes.c_void_p(stream))

    def copy_to_device(self, device: int, host: int, size: int, stream: int) -> None:
        """Lets ``stream`` copy ``size`` bytes from pinned memory to the GPU."""
        self._copy(device, host, size, _TO_DEVICE, stream)

    def copy_to_host(self, host: int, device: int, size: int, stream: int) -> None:
        """Lets ``stream`` copy ``size`` bytes from the GPU to pinned memory."""
        self._copy(host, device, size, _TO_HOST, stream)

    def synchronize(self, stream: int) -> None:
        """Waits until ``stream`` has done all that it was given.

        Raises:
            CudaError: something of it failed.
        """
        self._call("cudaStreamSynchronize", ctypes.c_void_p(stream))

    def record(self, stream: int, work: Callable[[], None]) -> int:
        """Records what ``work`` gives to ``stream`` as a CUDA graph, without doing it.

        Returns:
            The graph, ready for :meth:`launch`.

        Raises:
            CudaError: something in ``work`` cannot be recorded; ``stream`` can be used as before.
        """
        self._call("cudaStreamBeginCapture", ctypes.c_void_p(stream), ctypes.c_int(_THREAD_LOCAL))
        graph = ctypes.c_void_p()
        try:
            work()
        finally:  # a capture that is not ended would keep the stream
            ended = self._function("cudaStreamEndCapture")(ctypes.c_void_p(stream), ctypes.byref(graph))
        try:
            self._check("cudaStreamEndCapture", ended)
            ready = ctypes.c_void_p()
            self._call("cudaGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_ulonglong(0))
        finally:
            if graph.value:
                self._call("cudaGraphDestroy", graph)
        return ready.value or 0

    def launch(self, graph: int, stream: int) -> None:
        """Lets ``stream`` do what was recorded."""
        self._call("cudaGraphLaunch", ctypes.c_void_p(graph), ctypes.c_void_p(stream))

    def destroy_graph(self, graph: int) -> None:
        """Gives a graph back."""
        self._call("cudaGraphExecDestroy", ctypes.c_void_p(graph))

    def create_event(self) -> int:
        """A mark to time a stream with."""
        event = ctypes.c_void_p()
        self._call("cudaEventCreateWithFlags", ctypes.byref(event), ctypes.c_uint(0))
        return event.value or 0

    def destroy_event(self, event: int) -> None:
        """Gives an event back."""
        self._call("cudaEventDestroy", ctypes.c_void_p(event))

    def record_event(self, event: int, stream: int) -> None:
        """Lets ``stream`` note the time when it gets here."""
        self._call("cudaEventRecord", ctypes.c_void_p(event), ctypes.c_void_p(stream))

    def elapsed_ms(self, start: int, end: int) -> float:
        """Milliseconds of the GPU between two events, both of which it has passed."""
        elapsed = ctypes.c_float()
        self._call("cudaEventElapsedTime", ctypes.byref(elapsed), ctypes.c_void_p(start), ctypes.c_void_p(end))
        return elapsed.value

    def _copy(self, to: int, source: int, size: int, kind: int, stream: int) -> None:
        arguments = (ctypes.c_void_p(to), ctypes.c_void_p(source), ctypes.c_size_t(size), ctypes.c_int(kind))
        self._call("cudaMemcpyAsync", *arguments, ctypes.c_void_p(stream))

    def _call(self, name: str, *arguments: object, size: int = 0) -> None:
        self._check(name, self._function(name)(*arguments), size)

    def _function(self, name: str) -> Callable[..., int]:
        try:
            return getattr(self._library, name)  # type: ignore[no-any-return]
        except AttributeError:
            message = f"The CUDA runtime {self.path} has no {name}: it is too old."
            raise CudaError(message, hint="EdgeBERT needs CUDA 11.4 or later.") from None

    def _check(self, name: str, number: int, size: int = 0) -> None:
        if number == 0:
            return
        self._library.cudaGetLastError()  # else the next call that asks for it takes it for its own
        if number == OUT_OF_MEMORY:
            raise CudaError(self._too_little(size), hint=MEMORY_HINT, number=number)
        reason = f"{number} ({self._text('cudaGetErrorName', number)}: {self._text('cudaGetErrorString', number)})"
        raise CudaError(f"{name} of the CUDA runtime says {reason}.", hint=_FAILED_HINT, number=number)

    def _too_little(self, size: int) -> str:
        asked = f" for {size / 1e6:.1f} MB" if size else ""
        try:
            free, total = self.free_memory()
        except CudaError:
            return f"The GPU's memory does not suffice{asked}."
        return f"The GPU's memory does not suffice{asked}: {free / 1e6:.0f} of {total / 1e6:.0f} MB are free."

    def _text(self, name: str, number: int) -> str:
        function = getattr(self._library, name)
        function.restype = ctypes.c_char_p
        return (function(ctypes.c_int(number)) or b"").decode("ascii", "replace")


_MISSING_HINT = (
    "On a Jetson it belongs to JetPack (sudo apt-get install nvidia-jetpack); elsewhere "
    "`pip install nvidia-cuda-runtime-cu12`, or let LD_LIBRARY_PATH name its folder."
)
MEMORY_HINT = (
    "Close other programs that use the GPU, or pin an artifact for the CPU with backend='onnx'. "
    "A Jetson's GPU shares the memory of the system."
)
_FAILED_HINT = "Start the process again: after most errors CUDA does not work in it any more. `dmesg` may say more."


def find_cudart(cuda_driver: str) -> str:
    """The CUDA runtime library to use: the one that is loaded already, else the newest that the driver serves.

    Args:
        cuda_driver: the newest CUDA that the driver serves, such as ``12.6``; empty when unknown.

    Returns:
        Its path, or the name to give to the loader.

    Raises:
        CudaError: there is none.
    """
    for path in _candidates(cuda_driver):
        try:
            ctypes.CDLL(path)
        except OSError:
            continue
        return path
    names = " or ".join(_served(cuda_driver).values())
    raise CudaError(f"There is no CUDA runtime library ({names}) on this machine.", hint=_MISSING_HINT)


def _served(cuda_driver: str) -> dict[str, str]:
    newest = int(cuda_driver.partition(".")[0] or 99)
    return {major: name for major, name in _MAJORS.items() if int(major) <= newest} or _MAJORS


def _candidates(cuda_driver: str) -> Iterator[str]:
    yield from _mapped()
    served = _served(cuda_driver)
    yield from served.values()
    for name in served.values():
        # Where pip's packages of NVIDIA put it.
        for folder in _package_folders():
            yield from map(str, sorted(folder.glob(f"*/lib/{name}")))


def _mapped() -> list[str]:
    """Those that this process has loaded, as by TensorRT."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    return list(dict.fromkeys(match[0] for line in maps.splitlines() if (match := _MAPPED.search(line))))


def _package_folders() -> list[Path]:
    spec = importlib.util.find_spec("nvidia")
    return [Path(place) for place in spec.submodule_search_locations or ()] if spec is not None else []
