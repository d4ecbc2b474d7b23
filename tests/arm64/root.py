"""An arm64 Linux with Python and EdgeBERT's wheel in a folder, and programs run on emulated CPUs in it.

Needs no root rights, no chroot and no binfmt_misc: an x86-64 process, ``qemu-aarch64``, runs the root's Python and
looks up absolute paths in the root first. What is downloaded is kept in ``$XDG_CACHE_HOME/edgebert-arm64``
(``~/.cache``); delete that folder to fetch it again. By hand::

    python -m tests.arm64.root cortex-a72 program.py [ARGUMENT]...

The emulator is ``$EDGEBERT_QEMU``, or that of the system, and for CPUs that it lacks a newer one of Debian's.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from edgebert.convert.wheelhouse.pip import Pip
from edgebert.convert.wheelhouse.project import build_project_wheel
from edgebert.errors import OutputError
from tests.arm64 import cpus
from tests.arm64.packages import Unavailable, fetch_packages

REPOSITORY = Path(__file__).parents[2]

_PACKAGES = ("python3", "libstdc++6")
_EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")
_EMULATOR_PACKAGES = ("qemu-user-static", "qemu-user")
"""Debian 12 has static binaries in the first, Debian 13 in the second."""
_NEWER_SUITE = "trixie-backports"
"""Where a newer emulator is, for CPUs that older ones lack: its static binary runs on older systems too."""
_GLIBC = range(28, 16, -1)
"""Wheels for glibc 2.17 to 2.28: what boards with a distribution of the last seven years run."""
_ROOT_GLIBC = 36
"""That of Debian 12."""
_NO_DUMP = ("/bin/sh", "-c", 'ulimit -c 0; exec "$@"', "sh")
"""Before a command: some programs of the tests are meant to crash."""


class Board:
    """An emulated board: a root, the wheel installed in it, and emulators.

    Args:
        emulators: ``qemu-aarch64`` of one version or more; the first that has a CPU runs it.
        root: where arm64 packages are unpacked.
        site: where wheels are installed.
        scratch: a folder for what belongs to one CPU.
    """

    def __init__(self, emulators: Sequence[Path], root: Path, site: Path, scratch: Path) -> None:
        self._emulators = tuple(emulators)
        self._root = root
        self._site = site
        self._scratch = scratch
        self._roots: dict[tuple[str, bool], Path] = {}

    def keep_only(self, distributions: Sequence[str], scratch: Path) -> Board:
        """The same board with these distributions alone, as ``pip install --no-deps`` of each leaves it."""
        site = scratch / "site"
        site.mkdir()
        for one in metadata.distributions(path=[str(self._site)]):
            if one.metadata["Name"] in distributions:
                for top in {file.parts[0] for file in one.files or () if file.parts[0] not in ("..", "bin")}:
                    (site / top).symlink_to(self._site / top)
        return Board(self._emulators, self._root, site, scratch)

    @property
    def emulator(self) -> Path:
        """The emulator that is preferred."""
        return self._emulators[0]

    @functools.cached_property
    def cpus(self) -> frozenset[str]:
        """The CPU models that the emulators have."""
        return frozenset().union(*(_cpus_of(emulator) for emulator in self._emulators))

    def run(
        self,
        cpu: str,
        arguments: Sequence[str | Path],
        *,
        stdin: str = "",
        topology: bool = True,
        emulator_options: Sequence[str | Path] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run the root's Python with ``arguments``; a crash is a negative ``returncode``, as of any process.

        Args:
            cpu: one of :attr:`cpus`.
            arguments: a program of the host and what it is given, or ``-m`` and a module.
            stdin: the program's standard input.
            topology: whether the kernel's lists of CPUs can be read, as they can on a board. XNNPACK needs them.
            emulator_options: more options of the emulator, such as a plugin's.
        """
        return self._python(cpu, self._root_of(cpu, topology), arguments, stdin, emulator_options)

    def _python(
        self,
        cpu: str,
        root: Path,
        arguments: Sequence[str | Path],
        stdin: str = "",
        options: Sequence[str | Path] = (),
    ) -> subprocess.CompletedProcess[str]:
        model = cpu.partition(",")[0]  # of "max,sme=off"
        emulator = next((one for one in self._emulators if model in _cpus_of(one)), self.emulator)
        guest = ["-E", "PYTHONHOME=/usr", "-E", f"PYTHONPATH={self._site}"]
        python = self._root / "usr/bin/python3"
        return subprocess.run(
            [*_NO_DUMP, emulator, "-L", root, "-cpu", cpu, *options, *guest, python, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self._scratch), "LC_ALL": "C.UTF-8"},
            cwd=self._scratch,
        )

    def _root_of(self, cpu: str, topology: bool) -> Path:
        """The root with what the kernel says of the CPU, which the emulator would let pass from the host."""
        if (cpu, topology) not in self._roots:
            root = self._scratch / f"root-{cpu}-{'known' if topology else 'unknown'}"
            root.mkdir()
            for part in self._root.iterdir():
                if part.name not in ("proc", "sys"):
                    (root / part.name).symlink_to(part)
            probed = self._python(cpu, root, ["-c", cpus.PROBE])
            probed.check_returncode()
            cpus.write_kernel_files(root, cpu, [int(bits) for bits in probed.stdout.split()], topology=topology)
            self._roots[cpu, topology] = root
        return self._roots[cpu, topology]


def build_board(scratch: Path, *, distributions: Sequence[str] = ()) -> Board:
    """A board with this checkout of EdgeBERT, installed from its wheel with the extras ``tflite`` and ``onnx``.

    Args:
        scratch: an empty folder.
        distributions: what is installed beside the wheel in place of the extras, for any glibc that the root has.

    Raises:
        Unavailable: a tool or the network is missing.
    """
    if sys.platform != "linux":
        raise Unavailable(f"the emulator runs programs of Linux on Linux, not on {sys.platform}")
    emulators = find_emulators()
    packages = hashlib.sha256(repr((_PACKAGES, _os_release())).encode()).hexdigest()[:16]
    root = _cached(f"root-{packages}", lambda path: fetch_packages(_PACKAGES, "arm64", path, dependencies=True))
    version = (root / "usr/bin/python3").readlink().name.removeprefix("python")
    built = scratch / "wheel"
    built.mkdir(parents=True)
    with _network():
        pip = Pip(built)
        site = _install(pip, build_project_wheel(pip, built), version, scratch / "site", distributions)
    return Board(emulators, root, site, scratch)


def find_emulators() -> list[Path]:
    """``$EDGEBERT_QEMU`` alone; else the system's emulator, and a newer one where that lacks a CPU of the tests.

    Raises:
        Unavailable: there is none, and none can be fetched.
    """
    if named := os.environ.get("EDGEBERT_QEMU"):
        if not os.access(named, os.X_OK):
            raise FileNotFoundError(f"EDGEBERT_QEMU is {named!r}, which is no program")
        return [Path(named).absolute()]
    found = [Path(path) for name in _EMULATORS if (path := shutil.which(name))][:1] or [_fetch_emulator(None)]
    if not cpus.PARTS.keys() <= _cpus_of(found[0]):
        with suppress(Unavailable):  # then the tests of that CPU skip
            found.append(_fetch_emulator(_NEWER_SUITE))
    return found


@functools.cache
def _cpus_of(emulator: Path) -> frozenset[str]:
    listed = subprocess.run([emulator, "-cpu", "help"], capture_output=True, text=True)  # some versions exit with 1
    return frozenset(listed.stdout.split())


def _fetch_emulator(suite: str | None) -> Path:
    """The emulator of a suite of Debian, or of the system's sources."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

    def fetch(folder: Path) -> None:
        for package in _EMULATOR_PACKAGES if suite is None else _EMULATOR_PACKAGES[-1:]:
            unpacked = folder.with_name(package)
            fetch_packages([package], architecture, unpacked, dependencies=False, suite=suite)
            for name in _EMULATORS:
                if (path := unpacked / "usr/bin" / name).is_file():
                    folder.mkdir()
                    path.rename(folder / _EMULATORS[0])  # alone: the package has a hundred others
                    return
        raise Unavailable(f"neither the PATH nor the packages {', '.join(_EMULATOR_PACKAGES)} have {_EMULATORS[0]}")

    return _cached(f"qemu-{architecture}-{suite or _os_release()}", fetch) / _EMULATORS[0]


def _os_release() -> str:
    release = platform.freedesktop_os_release()
    return f"{release['ID']}-{release.get('VERSION_ID', 'testing')}"


def _install(pip: Pip, wheel: Path, version: str, site: Path, distributions: Sequence[str]) -> Path:
    """Install the wheel as on a board without a network: from a folder of wheels made on this host."""
    glibc = range(_ROOT_GLIBC, _GLIBC.stop, -1) if distributions else _GLIBC
    tags = [f"manylinux_2_{minor}_aarch64" for minor in glibc]
    board = ["--only-binary=:all:", f"--python-version={version}", "--implementation=cp"]
    board += [f"--platform={tag}" for tag in (*tags, "manylinux2014_aarch64")]
    constraints = REPOSITORY / "constraints.txt"
    wanted = [str(wheel), *distributions] if distributions else [f"{wheel}[tflite,onnx]"]
    versions: list[str | Path] = [] if distributions else ["--constraint", constraints]

    def download(folder: Path) -> None:
        pip.run("download", *board, *versions, "--dest", folder, *wanted)
        (folder / wheel.name).unlink()

    pins = [version, *distributions, (REPOSITORY / "setup.cfg").read_text(), constraints.read_text()]
    house = _cached(f"wheels-{hashlib.sha256(repr(pins).encode()).hexdigest()[:16]}", download)
    pip.run("install", *board, "--no-index", "--find-links", house, "--target", site, *wanted)
    return site


@contextmanager
def _network() -> Iterator[None]:
    """What fails since no package index can be reached, is unavailable."""
    try:
        yield
    except OutputError as error:
        if "reaches no package index" in error.message:
            raise Unavailable(error.message) from error
        raise


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made when it is not there; half-made ones are never seen."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgebert-arm64"
    path = cache / name
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".new-") as new:
            make(Path(new) / name)
            with suppress(OSError):  # another run made it meanwhile
                (Path(new) / name).rename(path)
    return path


def main() -> int:
    """Run a program on an emulated board."""
    cpu, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        done = build_board(Path(scratch)).run(cpu, [Path(a).resolve() if Path(a).exists() else a for a in arguments])
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
