"""Debian packages of any architecture, fetched from the system's sources and unpacked without root rights.

apt works on lists, a cache and a status file of its own here: of the system it reads the sources and their keys, and
it changes nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Unavailable(Exception):
    """Something from outside is missing: a tool, the network, a package. The message says what."""


def fetch_packages(
    names: Sequence[str], architecture: str, folder: Path, *, dependencies: bool, suite: str | None = None
) -> None:
    """Unpack packages for ``architecture`` (Debian's name of it) into ``folder``.

    Args:
        names: the packages.
        architecture: ``"arm64"``, ``"amd64"``, ...
        folder: what becomes the root that they are unpacked in.
        dependencies: whether all packages that they need come along.
        suite: of Debian, on the system's own mirror; without one, the system's sources.

    Raises:
        Unavailable: there is no apt or dpkg, or a package cannot be had.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise Unavailable(f"there is no {tool}, which the packages of an arm64 root are fetched with")
    state = folder.with_name(f"{folder.name}.apt")
    debs = state / "archives"
    for part in ("lists/partial", "archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "Dir::Cache::archives": debs,
    }
    if suite is not None:
        settings |= {"Dir::Etc::SourceList": state / "suite.list", "Dir::Etc::SourceParts": "-"}
        (state / "suite.list").write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {suite} main\n")
    apt = ["apt-get", "-qq", "-y", *(f"-o{key}={value}" for key, value in settings.items())]
    updated = subprocess.run([*apt, "update"], capture_output=True, text=True)
    # Sources for other architectures alone may fail to update: whether it was enough shows below.
    verb = ["install", "--download-only", "--no-install-recommends"] if dependencies else ["download"]
    done = subprocess.run([*apt, *verb, *names], capture_output=True, text=True, cwd=debs)
    if done.returncode != 0:
        said = f"{updated.stderr}\n{done.stderr}".strip().splitlines()
        raise Unavailable(f"apt cannot fetch {', '.join(names)} for {architecture}: {' / '.join(said[-3:])}")
    folder.mkdir(parents=True, exist_ok=True)
    for deb in sorted(debs.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True, capture_output=True)
    shutil.rmtree(state)


def _mirror() -> str:
    """Where the system, a Debian, has its packages from."""
    asked = subprocess.run(["apt-get", "update", "--print-uris"], capture_output=True, text=True)
    mirrors = re.findall(r"^'(\S+/debian)/dists/", asked.stdout, re.MULTILINE)
    if not (mirrors and _KEYRING.is_file()):
        raise Unavailable("the system's sources name no mirror of Debian")
    return str(mirrors[0])
