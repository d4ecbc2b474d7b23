"""Tiny wheels that say what they are and hold next to nothing."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from edgebert.convert.wheelhouse.archive import write_wheel

GLIBC = "manylinux_2_17_aarch64"
MUSL = "musllinux_1_2_aarch64"


def write(
    folder: Path,
    name: str,
    version: str,
    tags: str = "py3-none-any",
    *,
    requires: Sequence[str] = (),
    pythons: str = "",
    files: Sequence[str] = (),
) -> Path:
    """A wheel with a module of its name and, of ``files``, empty ones."""
    headers = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    if pythons:
        headers.append(f"Requires-Python: {pythons}")
    extras = {one.partition("extra == ")[2].strip("'\" ") for one in requires if "extra == " in one}
    headers += [f"Provides-Extra: {extra}" for extra in sorted(extras)]
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    contents = {
        **dict.fromkeys(files, b""),
        f"{module}/__init__.py": f"# {name} {version} for {tags}\n".encode(),
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", *headers, ""]).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n".encode(),
    }
    path = folder / f"{module}-{version}-{tags}.whl"
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
        write_wheel(archive, contents)
    return path


def edgebert(folder: Path) -> Path:
    """EdgeBERT's own, with the requirements that count here."""
    return write(
        folder,
        "edgebert",
        "0.1.0",
        requires=["click>=8", "numpy>=1.23", "tokenizers>=0.19", 'litert>=2; extra == "tflite"'],
        pythons=">=3.10",
        files=["edgebert/assets/calibration.txt", "edgebert/assets/default/model.safetensors"],
    )


def fill(folder: Path) -> None:
    """An index of wheels for boards: numpy 2 for two Pythons, numpy 1 and ``litert`` for one of them each."""
    for python, numbers in {"cp310": ["1.26"], "cp311": ["1.26", "2.4"], "cp312": ["2.4"]}.items():
        for number in numbers:
            write(folder, "numpy", number, f"{python}-{python}-{GLIBC}")
    for python in ("cp310", "cp311", "cp312"):
        write(folder, "litert", "2.3", f"{python}-{python}-{GLIBC}", requires=["tqdm"])
    write(folder, "numpy", "2.4", f"cp311-cp311-{MUSL}")
    write(folder, "tflite-runtime", "2.14.0", f"cp311-cp311-{GLIBC}", requires=["numpy>=1.23"])
    write(folder, "tokenizers", "0.23", f"cp310-abi3-{GLIBC}", requires=["hub[fast]", 'tqdm; extra == "dev"'])
    write(folder, "hub", "2.0", requires=['httpx; extra == "fast"', 'groups; python_version < "3.11"'])
    for name in ("httpx", "tqdm", "click"):
        write(folder, name, "8.1")
    write(folder, "groups", "1.3", requires=['intel; platform_machine == "x86_64"'])
