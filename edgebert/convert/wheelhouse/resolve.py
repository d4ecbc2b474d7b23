"""Which versions a device installs, found out by asking ``pip`` for its wheels.

``pip`` asked for another machine still takes the environment markers of the one it runs on (pypa/pip#11664), and so
leaves out what only the device needs. Here the markers are evaluated for the device, and ``pip`` is asked for the
requirements themselves without dependencies, again with those of the versions that it chose until none is new.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from edgebert.convert.wheelhouse.pip import NoWheel, Pip
from edgebert.convert.wheelhouse.platforms import describe, marker_environment, pip_options, version
from edgebert.devices.wheels import PythonHost
from edgebert.errors import OutputError, TargetError

_ROUNDS = 20
_PYTHONS = tuple((3, minor) for minor in range(10, 15))
"""Asked for when there is no wheel, to say which Pythons have one."""

_PROJECT = "edgebert"
_TOKENIZERS = "tokenizers"


class Project:
    """What EdgeBERT's wheel says of itself.

    Args:
        wheel: the file.
    """

    def __init__(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            headers = HeaderParser().parsestr(archive.read(name).decode())
        self.version = str(headers["Version"])
        self.pythons = SpecifierSet(headers.get("Requires-Python", ""))
        self.requires: list[str] = headers.get_all("Requires-Dist", [])


def resolve(
    wanted: Sequence[Requirement], project: Project, host: PythonHost, pip: Pip, scratch: Path, *, lean: bool,
    tokenizers: bool,
) -> dict[str, str]:  # fmt: skip
    """The versions of everything but EdgeBERT.

    Args:
        wanted: what the device asks for, EdgeBERT among it.
        project: EdgeBERT.
        host: the device.
        pip: who is asked.
        scratch: an existing folder for pip's answers.
        lean: leave out what EdgeBERT's requirements require themselves.
        tokenizers: whether ``tokenizers`` is among them; only lean may leave it out.

    Returns:
        Canonical name -> version.

    Raises:
        TargetError: EdgeBERT does not run on that Python, or there is no wheel of something.
        OutputError: ``pip`` fails, or the requirements do not settle.
    """
    if not project.pythons.contains(f"{version(host)}.0"):
        raise TargetError(
            f"EdgeBERT {project.version} does not run on Python {version(host)}: it needs {project.pythons}.",
            hint="Give the device's Python with --python; `python3 --version` on the device tells it.",
        )
    requires: dict[str, list[str]] = {_PROJECT: project.requires}
    versions: dict[str, str] = {}
    asked: frozenset[str] = frozenset()
    for _ in range(_ROUNDS):
        needed = _closure(wanted, requires, host, lean=lean)
        if not tokenizers:
            needed = frozenset(one for one in needed if canonicalize_name(Requirement(one).name) != _TOKENIZERS)
        if needed == asked:
            return versions
        asked, requires, versions = needed, {_PROJECT: project.requires}, {}
        for item in _ask(pip, asked, host, scratch):
            name = canonicalize_name(item["name"])
            versions[name] = item["version"]
            requires[name] = item.get("requires_dist", [])
    raise OutputError(
        f"pip finds no versions for {describe(host)} that go together.",
        hint="Pin some of them with pip's own setting, a file of constraints: PIP_CONSTRAINT=constraints.txt",
    )


def _closure(
    wanted: Sequence[Requirement], requires: Mapping[str, Sequence[str]], host: PythonHost, *, lean: bool
) -> frozenset[str]:
    """What is required, directly and indirectly, as far as the metadata is known; without markers and EdgeBERT."""
    environment = marker_environment(host)
    needed: set[str] = set()
    seen: set[tuple[str, str]] = set()
    open_ = list(wanted)
    while open_:
        requirement = open_.pop()
        name = canonicalize_name(requirement.name)
        if name != _PROJECT:
            needed.add(f"{name}{requirement.specifier}")
        for extra in ("", *requirement.extras):
            if (name, extra) in seen or (lean and name != _PROJECT):
                continue
            seen.add((name, extra))
            for text in requires.get(name, ()):
                one = Requirement(text)
                if one.marker is None or one.marker.evaluate({**environment, "extra": extra}):
                    open_.append(one)
    return frozenset(needed)


def _ask(pip: Pip, requirements: frozenset[str], host: PythonHost, scratch: Path) -> list[dict[str, Any]]:
    try:
        return _report(pip, sorted(requirements), host, scratch)
    except NoWheel as error:
        raise _no_wheel(pip, error.requirement, host, scratch) from error


def _report(pip: Pip, requirements: Sequence[str], host: PythonHost, scratch: Path) -> list[dict[str, Any]]:
    answer = scratch / "report.json"
    pip.run(
        "install", "--dry-run", "--ignore-installed", "--no-deps", "--report", answer,
        "--target", scratch / "nowhere", *pip_options(host), *requirements,
    )  # fmt: skip
    return [item["metadata"] for item in json.loads(answer.read_text(encoding="utf-8"))["install"]]


def _no_wheel(pip: Pip, requirement: str, host: PythonHost, scratch: Path) -> TargetError:
    having = []
    for python in _PYTHONS:
        other = PythonHost(python, host.system, host.architecture, host.libc)
        try:
            _report(pip, [requirement], other, scratch)
        except NoWheel:
            continue
        having.append(version(other))
    message = f"There is no wheel of {requirement} for {describe(host)}."
    place = f"{host.architecture} with {host.libc}"
    if having:
        return TargetError(
            f"{message} On {place}, {', '.join(having)} have one.",
            hint="Give one of these with --python, if the device has it, or another runtime with --runtime.",
        )
    return TargetError(
        f"{message} No Python from 3.{_PYTHONS[0][1]} to 3.{_PYTHONS[-1][1]} has one on {place}.",
        hint="Choose another runtime with --runtime; what needs no wheel of `tokenizers`: --lean --without-tokenizers.",
    )
