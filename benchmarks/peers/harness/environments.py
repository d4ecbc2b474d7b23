"""One virtual environment per requirements file, made when it is needed and kept."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from edgebert.bundle.output import output_error
from edgebert.errors import BackendError

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
_NO_DEPS = ".no-deps.txt"
_DONE = "installed.json"
_HINT = "Check the network and the disk, then run again: what is made is kept."


def requirements_digest(text: str) -> str:
    """What an environment is bound to: its requirements, and the Python that it is made with; 16 hex digits."""
    bound = (text, platform.python_implementation(), platform.python_version(), platform.machine(), sys.platform)
    return hashlib.sha256("\0".join(bound).encode()).hexdigest()[:16]


class Environments:
    """The environments in one folder, named after their requirements file and its digest.

    Args:
        folder: where they are kept; made if missing.
        report: told a line when one is made, which takes minutes.
        requirements: the folder of the requirements files.
    """

    def __init__(self, folder: Path, report: Callable[[str], None], requirements: Path = REQUIREMENTS) -> None:
        self._folder = folder
        self._report = report
        self._requirements = requirements
        self._failed: dict[str, BackendError] = {}

    def requirements(self, name: str) -> str:
        """The text of the requirements files of an environment."""
        return "".join(path.read_text(encoding="utf-8") for path in self._requirements_files(name))

    def folder(self, name: str) -> Path:
        """Where the environment of ``name`` is, or will be."""
        return self._folder / f"{name}-{requirements_digest(self.requirements(name))}"

    def python(self, name: str) -> Path:
        """The Python of an environment, which is made if there is none.

        Raises:
            BackendError: it cannot be made; the message ends with what pip said. It is tried once per run.
            OutputError: the folder cannot be written.
        """
        folder = self.folder(name)
        python = folder / "bin" / "python"
        if self.exists(name):
            return python
        if name in self._failed:
            raise self._failed[name]
        self._report(f"making the environment {folder.name}")
        try:
            if folder.exists():  # of a run that was stopped: an environment without the mark may lack anything
                shutil.rmtree(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(error, folder) from error
        try:
            self._make(name, folder, python)
        except BackendError as error:
            self._failed[name] = error
            raise
        return python

    def exists(self, name: str) -> bool:
        """Whether an environment is there, whole."""
        return (self.folder(name) / _DONE).is_file()

    def installed(self, name: str) -> dict[str, str]:
        """Versions of all distributions in an environment that exists, by name."""
        versions: dict[str, str] = json.loads((self.folder(name) / _DONE).read_text(encoding="utf-8"))
        return versions

    def _requirements_files(self, name: str) -> list[Path]:
        """``NAME.txt``, and after it ``NAME.no-deps.txt`` if there is one: distributions that ask for too much."""
        more = self._requirements / f"{name}{_NO_DEPS}"
        return [self._requirements / f"{name}.txt", *([more] if more.is_file() else [])]

    def _make(self, name: str, folder: Path, python: Path) -> None:
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        _run(name, [sys.executable, "-m", "venv", str(folder)])
        for path in self._requirements_files(name):
            alone = ["--no-deps"] if path.name.endswith(_NO_DEPS) else []
            _run(name, [*pip, "install", "--quiet", "--no-input", "--retries", "2", *alone, "-r", str(path)])
        listed = json.loads(_run(name, [*pip, "list", "--format", "json"]))
        versions = {one["name"]: one["version"] for one in listed}
        mark = folder / f"{_DONE}.new"
        mark.write_text(json.dumps(versions, indent=1) + "\n", encoding="utf-8")
        mark.replace(folder / _DONE)


def _run(name: str, command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("ERROR:")] or said or [f"exit code {done.returncode}"]
        raise BackendError(f"The environment {name} cannot be made: {errors[-1].strip()}", hint=_HINT)
    return done.stdout
