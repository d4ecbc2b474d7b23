"""What ``pip`` and its environment markers are told of a device, so that they answer for it and not for this host."""

from __future__ import annotations

import re

from edgebert.devices.wheels import PythonHost
from edgebert.errors import TargetError

_PYTHON = re.compile(r"3\.(0|[1-9][0-9]?)")

_GLIBC = range(5, 36)
"""Minor versions of glibc 2. Distributions with Python 3.10, the oldest that EdgeBERT runs on, have 2.35 and later."""


def parse_python(text: str) -> tuple[int, int]:
    """``"3.11"`` as ``(3, 11)``.

    Raises:
        TargetError: it is no version of that form.
    """
    match = _PYTHON.fullmatch(text)
    if match is None:
        raise TargetError(
            f"{text!a} is no version of Python.", hint="Give major and minor version of the device's, as in 3.11."
        )
    return 3, int(match[1])


def describe(host: PythonHost) -> str:
    """In words, as in ``Python 3.11 on aarch64 with glibc``."""
    return f"Python {version(host)} on {host.architecture} with {host.libc}"


def version(host: PythonHost) -> str:
    """Its Python, as in ``3.11``."""
    return ".".join(map(str, host.python))


def pip_options(host: PythonHost) -> list[str]:
    """The options with which ``pip`` chooses wheels for ``host``, the ones for the oldest C library first."""
    machine = host.architecture
    if host.libc == "musl":
        tags = [f"musllinux_1_{minor}_{machine}" for minor in (1, 2)]
    else:
        # PEP 600: manylinux2010 and manylinux2014 are other names of glibc 2.12 and 2.17.
        legacy = {12: f"manylinux2010_{machine}", 17: f"manylinux2014_{machine}"}
        tags = [tag for minor in _GLIBC for tag in (f"manylinux_2_{minor}_{machine}", legacy.get(minor)) if tag]
    target = [f"--python-version={version(host)}", "--implementation=cp", "--only-binary=:all:"]
    return target + [f"--platform={tag}" for tag in tags]


def marker_environment(host: PythonHost) -> dict[str, str]:
    """The variables of PEP 508 as they are on ``host``; ``pip`` itself takes those of the Python that it runs in."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{version(host)}.0",
        "os_name": "posix",
        "platform_machine": host.architecture,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": host.system,
        "platform_version": "",
        "python_full_version": f"{version(host)}.0",
        "python_version": version(host),
        "sys_platform": "linux",
    }
