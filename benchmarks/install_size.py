"""What each way of installing EdgeBERT takes on a device's disk, measured by installing it.

For each route ``edgebert wheelhouse`` fills a folder, ``pip`` installs from it for that architecture, whatever the
host's, and the files are added up. Sizes are MB of 10^6 bytes; Python itself is not counted. Also told: the smallest
alignment of a distribution's libraries in memory. A kernel loads those of at least its page size; 16384 on a
Raspberry Pi 5.

    python benchmarks/install_size.py [--architecture aarch64] [--python 3.11] [--out FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

from edgebert.convert.target import Target, load_target
from edgebert.convert.wheelhouse import make_wheelhouse
from edgebert.convert.wheelhouse.pip import Pip
from edgebert.convert.wheelhouse.platforms import pip_options
from edgebert.convert.wheelhouse.project import build_project_wheel
from edgebert.devices.wheels import PythonHost
from edgebert.errors import EdgebertError

MEGABYTE = 1e6


class Route(NamedTuple):
    """Options of ``edgebert wheelhouse``."""

    runtime: str
    lean: bool = False
    tokenizers: bool = True

    @property
    def options(self) -> str:
        """As they are typed."""
        lean, without = "--lean" if self.lean else "", "" if self.tokenizers else "--without-tokenizers"
        return " ".join(filter(None, [f"--runtime {self.runtime}", lean, without]))


ROUTES = tuple(
    Route(runtime, lean, tokenizers)
    for runtime in ("ai-edge-litert", "tflite-runtime", "onnxruntime", "openvino")
    for lean, tokenizers in ((False, True), (True, True), (True, False))
)


class Part(NamedTuple):
    """A distribution: its bytes without bytecode, the bytecode, and the least alignment of its libraries, if any."""

    version: str
    source: int
    bytecode: int
    alignment: int | None


def measure(
    route: Route, target: Target, python: str, wheel: Path, folder: Path
) -> tuple[int, dict[str, Part]]:  # fmt: skip
    """The bytes of a route's wheels, and its parts as they are installed in ``folder``.

    Raises:
        EdgebertError: there is no such wheelhouse.
        CalledProcessError: ``pip`` cannot install from it.
    """
    house = make_wheelhouse(
        folder / "house", target, pythons=[python], runtimes=[route.runtime], lean=route.lean,
        tokenizers=route.tokenizers, project=wheel,
    )  # fmt: skip
    [architecture] = target.device.architectures
    host = PythonHost((3, int(python.removeprefix("3."))), "Linux", architecture, "glibc")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--find-links", house.path]
    command += ["--target", folder / "site", *pip_options(host), "-r", house.path / "requirements.txt"]
    subprocess.run(command, check=True)
    parts: dict[str, Part] = {}
    for name, version, file in installed_files(folder / "site"):
        old = parts.get(name, Part(version, 0, 0, None))
        size, found = file.stat().st_size, load_alignment(file)
        compiled = file.suffix == ".pyc"
        least = min((one for one in (old.alignment, found) if one is not None), default=None)
        parts[name] = Part(version, old.source + size * (not compiled), old.bytecode + size * compiled, least)
    return house.size, parts


def installed_files(site: Path) -> Iterator[tuple[str, str, Path]]:
    """Distribution, version and path of each file, bytecode included, whether its record names it or not."""
    owners: dict[str, tuple[str, str]] = {}
    for one in distributions(path=[str(site)]):
        for file in one.files or ():
            owners[str(file)] = (one.metadata["Name"], one.version)
    for path in sorted(site.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield *owners.get(str(path.relative_to(site)), ("bytecode and scripts", "")), path


def load_alignment(path: Path) -> int | None:
    """The least alignment of the segments that are loaded, in bytes (ELF-64, ``p_align`` of ``PT_LOAD``)."""
    with path.open("rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
            return None
        table, size, count = struct.unpack_from("<Q14xHH", header, 32)
        file.seek(table)
        entries = [struct.unpack_from("<I44xQ", file.read(size)) for _ in range(count)]
    return min((alignment for kind, alignment in entries if kind == 1), default=None)


def record(wheels: int, parts: dict[str, Part]) -> dict[str, Any]:
    """As JSON; sizes in bytes."""
    return {
        "wheels": wheels,
        "installed": sum(part.source for part in parts.values()),
        "bytecode": sum(part.bytecode for part in parts.values()),
        "parts": {name: part._asdict() for name, part in sorted(parts.items(), key=lambda item: -item[1].source)},
    }


def main() -> None:
    """Print the table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--architecture", default="aarch64", choices=["aarch64", "x86_64"])
    parser.add_argument("--python", default="3.11", help="the device's Python; tflite-runtime needs 3.11 or older")
    parser.add_argument("--out", type=Path, help="write the figures of every distribution to this JSON file")
    chosen = parser.parse_args()
    target = load_target("arm64-linux")
    target = dataclasses.replace(
        target, device=dataclasses.replace(target.device, architectures=(chosen.architecture,))
    )
    results: dict[str, Any] = {}
    print(f"{chosen.architecture}, Python {chosen.python}; MB of 10^6 bytes\n")
    print("| `edgebert wheelhouse` | wheels | installed | bytecode beside it |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build_project_wheel(Pip(Path(scratch)), Path(scratch))
        for route in ROUTES:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                try:
                    one = record(*measure(route, target, chosen.python, wheel, Path(folder)))
                except EdgebertError as error:
                    print(f"| `{route.options}` | {error.message} | | |")
                    continue
            results[route.options] = one
            figures = " | ".join(f"{one[key] / MEGABYTE:.1f}" for key in ("wheels", "installed", "bytecode"))
            print(f"| `{route.options}` | {figures} |", flush=True)
    if chosen.out:
        told = {"architecture": chosen.architecture, "python": chosen.python, "bytes": results}
        chosen.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
