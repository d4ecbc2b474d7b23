"""Which backends can be installed with pip on which Python, architecture and system, and the line that does it.

The table holds what the projects have published so far; a newer Python than ``last`` means "none known".
"""

from __future__ import annotations

import platform
import sys
import sysconfig
from dataclasses import dataclass

from edgebert.devices.isa import normalise_architecture


@dataclass(frozen=True)
class PythonHost:
    """What pip looks at when it chooses a wheel: Python's version, the system, the architecture, and the C library.

    ``libc`` is ``glibc``, ``musl``, ``bionic`` (Android), or empty where it does not matter.
    """

    python: tuple[int, int]
    system: str
    architecture: str
    libc: str


@dataclass(frozen=True)
class _Wheels:
    """The wheels of one distribution. ``platforms`` are (system, architecture)."""

    command: str
    first: tuple[int, int]
    last: tuple[int, int]
    platforms: frozenset[tuple[str, str]]


_LINUX_64 = frozenset({("Linux", "x86_64"), ("Linux", "aarch64")})
_DESKTOP = frozenset({("Darwin", "aarch64"), ("Windows", "x86_64")})

_WHEELS = {
    "onnxruntime": _Wheels('pip install "edgebert[onnx]"', (3, 10), (3, 14), _LINUX_64 | _DESKTOP),
    "openvino": _Wheels('pip install "edgebert[openvino]"', (3, 10), (3, 14), _LINUX_64 | _DESKTOP),
    "ai-edge-litert": _Wheels('pip install "edgebert[tflite]"', (3, 10), (3, 14), _LINUX_64 | _DESKTOP),
    "tflite-runtime": _Wheels(
        'pip install "tflite-runtime==2.14.0" "numpy<2"', (3, 8), (3, 11), _LINUX_64 | {("Linux", "armv7l")}
    ),
    "tensorrt": _Wheels('pip install "edgebert[tensorrt]"', (3, 10), (3, 14), frozenset({("Linux", "x86_64")})),
    # The converter's narrowest dependency; the others are built for at least the same.
    "litert-converter": _Wheels(
        'pip install "edgebert[convert]"', (3, 10), (3, 14), frozenset({("Linux", "x86_64"), ("Darwin", "aarch64")})
    ),
}


def this_host() -> PythonHost:
    """The running Python."""
    system = platform.system()
    libc = ""
    if hasattr(sys, "getandroidapilevel"):
        libc = "bionic"
    elif system == "Linux":
        triplet = f"{sysconfig.get_config_var('HOST_GNU_TYPE')} {sysconfig.get_config_var('SOABI')}"
        libc = "musl" if "musl" in triplet else "glibc"
    architecture = normalise_architecture(platform.machine(), is_64bit=sys.maxsize > 2**32)
    return PythonHost((sys.version_info.major, sys.version_info.minor), system, architecture, libc)


def why_not_installable(distribution: str, host: PythonHost | None = None) -> str | None:
    """Why pip finds no wheel of ``distribution`` for ``host`` (default: the running Python); ``None`` if it does."""
    host = host or this_host()
    wheels = _WHEELS[distribution]
    if host.libc in ("musl", "bionic"):
        return f"there are no {distribution} wheels for {host.libc}, the C library of this system"
    if (host.system, host.architecture) not in wheels.platforms:
        return f"there are no {distribution} wheels for {host.system} on {host.architecture}"
    if not wheels.first <= host.python <= wheels.last:
        first, last, python = (".".join(map(str, pair)) for pair in (wheels.first, wheels.last, host.python))
        return f"no {distribution} wheel is known for Python {python} (they are built for {first} to {last})"
    return None


def install_line(distribution: str, host: PythonHost | None = None) -> str:
    """The shell line that installs ``distribution`` on ``host`` (default: the running Python).

    When there is none, the sentence that says why: it starts with ``there are no`` or ``no``, never with a command.
    """
    host = host or this_host()
    if distribution == "tensorrt" and (host.system, host.architecture) == ("Linux", "aarch64"):
        # On a Jetson TensorRT belongs to the system image and must match its driver; pip's wheels are for servers.
        return "sudo apt-get install python3-libnvinfer  # from NVIDIA JetPack"
    return why_not_installable(distribution, host) or _WHEELS[distribution].command
