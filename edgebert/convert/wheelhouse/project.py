"""EdgeBERT's own wheel: built from a source checkout, or put together again from an installed one."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from importlib import metadata
from pathlib import Path

from edgebert.convert.wheelhouse.archive import write_wheel
from edgebert.convert.wheelhouse.pip import NoWheel, Pip
from edgebert.errors import OutputError

_PACKAGE = Path(__file__).resolve().parents[2]
_SOURCES = ("edgebert", "targets", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
_OF_THE_INSTALLATION = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")
"""Files beside the metadata that ``pip`` writes when it installs."""


def build_project_wheel(pip: Pip, folder: Path) -> Path:
    """Write the wheel of the EdgeBERT that is running into ``folder``, an existing one.

    Raises:
        OutputError: the installed files are not those that were installed, or the build fails.
        OSError: a file cannot be read or written.
    """
    checkout = _PACKAGE.parent
    if all((checkout / name).exists() for name in _SOURCES):
        return _from_checkout(pip, checkout, folder)
    return _from_installation(folder)


def _from_checkout(pip: Pip, checkout: Path, folder: Path) -> Path:
    # Of a copy: a build folder in the checkout could hold modules that are gone.
    source = folder / "source"
    source.mkdir()
    for name in _SOURCES:
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(checkout / name, source)
    try:
        pip.run("wheel", "--no-deps", "--wheel-dir", folder, source)
    except NoWheel as error:
        raise OutputError(
            f"EdgeBERT's own wheel cannot be built: pip finds no {error.requirement}.",
            hint="Check the network and pip's settings (pip config list), then try again.",
        ) from error
    [wheel] = folder.glob("edgebert-*.whl")
    return wheel


def _from_installation(folder: Path) -> Path:
    try:
        installed = metadata.distribution("edgebert")
    except metadata.PackageNotFoundError as error:
        raise _not_whole("it is neither installed nor a source checkout") from error
    files = {
        str(file): file
        for file in installed.files or ()
        # Scripts are made again from the entry points, bytecode from the modules.
        if file.parts[0] != ".." and file.suffix != ".pyc" and file.name not in _OF_THE_INSTALLATION
    }
    if Path(str(installed.locate_file("edgebert"))).resolve() != _PACKAGE or "edgebert/__init__.py" not in files:
        raise _not_whole(f"the record of the installed files does not name those in {_PACKAGE}")
    contents: dict[str, bytes] = {}
    for name, file in sorted(files.items()):
        try:
            data = Path(str(file.locate())).read_bytes()
        except FileNotFoundError as error:
            raise _not_whole(f"its file {name} is missing") from error
        if file.hash is None or file.hash.value != _digest(data, file.hash.mode):
            raise _not_whole(f"its file {name} is not the one that was installed")
        contents[name] = data
    wheel = folder / f"edgebert-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "x", zipfile.ZIP_DEFLATED) as archive:
        write_wheel(archive, contents)
    return wheel


def _digest(data: bytes, algorithm: str) -> str:
    return base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()


def _not_whole(reason: str) -> OutputError:
    return OutputError(
        f"EdgeBERT's own wheel cannot be made: {reason}.",
        hint="Install edgebert again with pip, or run this in a source checkout.",
    )
