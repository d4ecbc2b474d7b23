"""A Jetson on which nothing is NVIDIA's: a folder with a driver, a CUDA runtime and a TensorRT, and processes in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.devices import fake_cuda
from tests.devices.packages import install
from tests.jetson import fake_cudart

ROOT = Path(__file__).resolve().parents[2]
FULL_VERSIONS = {"8.6": "8.6.0", "10.3": "10.3.0", "11": "11.4.0"}

_PACKAGE = """\
import sys
from tests.jetson.fake_tensorrt import make_module
module = make_module({version!r})
module.__spec__, module.__path__, module.__file__ = __spec__, __path__, __file__
sys.modules[__name__] = module
"""


@dataclass
class FakeBoard:
    """A board in a folder: each command runs in a process that finds the board's libraries and no others of NVIDIA's.

    Args:
        folder: an empty folder for it.
        version: of TensorRT: ``8.6``, ``10.3`` or ``11``.
        gpu: the GPU's name.
        capability: the GPU's compute capability.
        memory: bytes that the GPU has, pinned memory included.
        cuda: major and minor version of the CUDA runtime, and of what the driver serves.
    """

    folder: Path
    version: str = "10.3"
    gpu: str = "Orin"
    capability: tuple[int, int] = (8, 7)
    memory: int = 8_000_000_000
    cuda: tuple[int, int] = (12, 6)
    faults: dict[str, str] = field(default_factory=dict)
    """Variables of the environment that every process gets, such as ``FAKE_TENSORRT_FAULT``."""

    def __post_init__(self) -> None:
        for name in ("lib", "python/tensorrt", "plans", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.plans.chmod(0o700)
        self.put_driver()
        soname = {11: "libcudart.so.11.0", 12: "libcudart.so.12", 13: "libcudart.so.13"}[self.cuda[0]]
        self.cudart = Path(fake_cudart.build(self.folder / "lib", soname, self.cuda[0] * 1000 + self.cuda[1] * 10))
        install(self.folder / "python", "tensorrt", FULL_VERSIONS[self.version])
        (self.folder / "python/tensorrt/__init__.py").write_text(_PACKAGE.format(version=self.version))

    @property
    def plans(self) -> Path:
        """The folder of the plans that were built."""
        return self.folder / "plans"

    def put_driver(self, **changes: str) -> None:
        """Puts another driver in place of the board's; ``changes`` as in :func:`tests.devices.fake_cuda.build`."""
        number = self.cuda[0] * 1000 + self.cuda[1] * 10
        told = {
            "GPUS": json.dumps(self.gpu),
            "MAJORS": str(self.capability[0]),
            "MINORS": str(self.capability[1]),
            "MEMORIES": f"{self.memory}UL",
            "VERSION": str(number),
            "SAYS": '""',
        }
        fake_cuda.build(self.folder / "lib", **{**told, **changes})

    def remove_driver(self) -> None:
        """Leaves a board without a driver."""
        (self.folder / "lib/libcuda.so.1").unlink()

    def environment(self, **variables: str) -> dict[str, str]:
        """What a process on this board sees."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV")}
        return {
            **kept,
            "HOME": str(self.folder / "home"),
            "LD_LIBRARY_PATH": str(self.folder / "lib"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.folder / "python")]),
            "PYTHONFAULTHANDLER": "",
            "EDGEBERT_PLAN_CACHE": str(self.plans),
            "FAKE_CUDA_MEMORY": str(self.memory),
            "FAKE_CUDA_LOG": str(self.folder / "cuda.log"),
            "FAKE_TENSORRT_LOG": str(self.folder / "tensorrt.log"),
            "OMP_NUM_THREADS": "1",
            **self.faults,
            **variables,
        }

    def start(self, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """Starts Python with ``arguments`` on this board; both outputs are pipes."""
        command = [sys.executable, *map(str, arguments)]
        pipe = subprocess.PIPE
        environment = self.environment(**variables)
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=self.folder)

    def run(self, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs Python with ``arguments`` on this board, whatever its exit code."""
        command = [sys.executable, *map(str, arguments)]
        environment = self.environment(**variables)
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=self.folder, timeout=300, check=False
        )

    def edgebert(self, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs the command ``edgebert``."""
        return self.run("-m", "edgebert", *arguments, **variables)

    def python(self, code: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a piece of Python; ``arguments`` are in ``sys.argv[1:]``."""
        return self.run("-c", code, *arguments, **variables)

    def calls(self, event: str | None = None) -> list[dict[str, Any]]:
        """What happened in TensorRT so far, or what of one kind, such as ``build``; see ``events.py``."""
        return [one for one in _lines(self.folder / "tensorrt.log") if event in (None, one["event"])]

    def leaks(self) -> list[dict[str, int]]:
        """What each process that loaded CUDA had not given back when it ended; see ``fake_cudart.py``."""
        return _lines(self.folder / "cuda.log")

    def forget(self) -> None:
        """Empties both logs."""
        for name in ("tensorrt.log", "cuda.log"):
            (self.folder / name).unlink(missing_ok=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
