"""``requirements.txt``: each distribution with its version and the hashes of its wheels, as ``pip`` checks them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import parse_wheel_filename

from edgebert.convert.wheelhouse.platforms import version
from edgebert.devices.wheels import PythonHost

_CHUNK = 1 << 20


def requirements_text(house: Path, versions: Mapping[PythonHost, Mapping[str, str]]) -> str:
    """The lines for the wheels of a folder.

    Args:
        house: a folder with wheels.
        versions: for each device, canonical name -> version. What not every device installs in the same version gets
            an environment marker.

    Raises:
        OSError: a wheel cannot be read.
    """
    hashes: dict[tuple[str, str], list[str]] = {}
    for wheel in sorted(house.glob("*.whl")):
        distribution, release, _, _ = parse_wheel_filename(wheel.name)
        hashes.setdefault((distribution, str(release)), []).append(_sha256(wheel))
    users: dict[tuple[str, str], list[PythonHost]] = {}
    for host, pins in versions.items():
        for pin in pins.items():
            users.setdefault(pin, []).append(host)
    lines = []
    for (name, number), hosts in sorted(users.items()):
        marker = "" if len(hosts) == len(versions) else f" ; {_marker(hosts, list(versions))}"
        lines.append(
            " \\\n    ".join([f"{name}=={number}{marker}", *(f"--hash=sha256:{h}" for h in hashes[name, number])])
        )
    return "\n".join(lines) + "\n"


def _marker(hosts: Sequence[PythonHost], every: Sequence[PythonHost]) -> str:
    machines = {host.architecture for host in every}
    parts = []
    for host in hosts:
        part = f'python_version == "{version(host)}"'
        parts.append(f'{part} and platform_machine == "{host.architecture}"' if len(machines) > 1 else part)
    return " or ".join(parts)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
