"""Making a wheelhouse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from edgebert.convert.target import Target
from edgebert.convert.wheelhouse.device_wheel import write_device_wheel
from edgebert.convert.wheelhouse.folder import new_folder
from edgebert.convert.wheelhouse.instructions import instructions
from edgebert.convert.wheelhouse.listing import requirements_text
from edgebert.convert.wheelhouse.pip import Pip
from edgebert.convert.wheelhouse.platforms import describe, parse_python, pip_options
from edgebert.convert.wheelhouse.project import build_project_wheel
from edgebert.convert.wheelhouse.resolve import Project, resolve
from edgebert.convert.wheelhouse.wanted import wanted_requirements
from edgebert.devices.wheels import PythonHost

PYTHONS = ("3.11", "3.13")
"""Those of Debian and Raspberry Pi OS 12 and 13."""

LIBCS = ("glibc", "musl")
"""C libraries that wheels are built for; Alpine has musl."""


@dataclass(frozen=True)
class Wheelhouse:
    """A folder of wheels: where it is, the names of the wheels, and their size in bytes."""

    path: Path
    wheels: tuple[str, ...]
    size: int


def make_wheelhouse(
    out: Path,
    target: Target,
    *,
    pythons: Sequence[str] = PYTHONS,
    runtimes: Sequence[str] = (),
    libc: str = "glibc",
    lean: bool = False,
    tokenizers: bool = True,
    project: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Wheelhouse:
    """Fill a new folder with wheels, ``requirements.txt`` and ``INSTALL.txt``.

    Args:
        out: the folder to make. It appears when it is complete.
        target: the devices: every architecture of it is served.
        pythons: the devices' versions of Python, as ``3.11``.
        runtimes: distributions that run the artifacts; by default those in the target's install lines.
        libc: one of :data:`LIBCS`.
        lean: leave out what EdgeBERT's own requirements require and EdgeBERT never loads. ``pip`` must then install
            with ``--no-deps``.
        tokenizers: ``False`` leaves ``tokenizers`` out of a lean wheelhouse; EdgeBERT's own tokenizer takes its place.
        project: EdgeBERT's wheel; by default it is made of what is running.
        progress: called with a line for people as each step begins.

    Raises:
        TargetError: nothing is installed with pip there, or there is no wheel for such a device.
        OutputError: ``out`` exists or cannot be written, there is no pip, no network, or pip fails.
        ValueError: ``tokenizers`` are to be left out, and what requires them is not.
    """
    if not (tokenizers or lean):
        raise ValueError("only a lean wheelhouse can do without tokenizers")
    wanted = wanted_requirements(target, runtimes)
    versions = dict.fromkeys(map(parse_python, pythons))
    hosts = [PythonHost(one, "Linux", machine, libc) for machine in target.device.architectures for one in versions]
    with new_folder(out) as (house, scratch, publish):
        pip = Pip(scratch)
        if project is None:
            progress("making EdgeBERT's wheel")
            project = build_project_wheel(pip, scratch)
        wheel = write_device_wheel(project, house)
        edgebert = Project(wheel)
        pins: dict[PythonHost, dict[str, str]] = {}
        for host in hosts:
            progress(f"{describe(host)}: choosing versions")
            found = resolve(wanted, edgebert, host, pip, scratch, lean=lean, tokenizers=tokenizers)
            progress(f"{describe(host)}: downloading {len(found)} wheels")
            names = [f"{name}=={version}" for name, version in sorted(found.items())]
            pip.run("download", "--no-deps", "--dest", house, *pip_options(host), *names)
            pins[host] = {"edgebert": edgebert.version, **{name: str(Version(one)) for name, one in found.items()}}
        (house / "requirements.txt").write_text(requirements_text(house, pins), encoding="utf-8")
        text = instructions(target, out.name, edgebert.version, hosts, wanted, lean=lean)
        (house / "INSTALL.txt").write_text(text, encoding="utf-8")
        wheels = sorted(house.glob("*.whl"))
        result = Wheelhouse(out, tuple(one.name for one in wheels), sum(one.stat().st_size for one in wheels))
        publish()
    return result
