"""The files that a peer serves from: made once, of the checkpoint, and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from edgebert.bundle.output import output_error
from edgebert.errors import BackendError
from harness.catalogue import OURS, Peer
from harness.environments import Environments, requirements_digest

HERE = Path(__file__).parents[1]
_SHARED = ("prepare.py", "serving/source.py", "serving/script.py", "serving/cpu.py")
"""Code that files depend on, besides that of the peer itself."""


class Files:
    """Makes and finds the files of peers.

    Args:
        folder: where they are kept, a folder per peer, named after what they are made of.
        checkpoint: the checkpoint that all are made of.
        data: the folder of SST-2's files.
        bundle: EdgeBERT's, which is served as it is.
        environments: where they are made.
        threads: of the processes that make them.
        report: told a line when files are made.
    """

    def __init__(
        self,
        folder: Path,
        checkpoint: Path,
        data: Path,
        bundle: Path,
        environments: Environments,
        threads: int,
        report: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._checkpoint = checkpoint
        self._data = data
        self._bundle = bundle
        self._environments = environments
        self._threads = threads
        self._report = report
        names = ("config.json", "model.safetensors", "tokenizer.json")
        self._inputs = _digest_files(*(checkpoint / name for name in names), data / "train.tsv")

    def of(self, peer: Peer, peers: Mapping[str, Peer]) -> Path:
        """The folder that a peer serves from.

        Args:
            peer: whose.
            peers: all of the catalogue by name, for what it needs.

        Raises:
            BackendError: its environment or its files cannot be made; the message ends with what was said.
            OutputError: the folder cannot be written.
        """
        if peer.kind == OURS:
            return self._bundle
        if not peer.preparing:
            return self._checkpoint
        folder = self._folder / f"{peer.name}-{self._digest(peer, peers)}"
        if folder.is_dir():
            return folder
        needs = [str(self.of(peers[peer.needs], peers))] if peer.needs else []
        python = self._environments.python(peer.preparing)
        self._report(f"making the files of {peer.name}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=".making-", dir=self._folder))
        except OSError as error:
            raise output_error(error, self._folder) from error
        try:
            self._prepare(peer, python, unfinished, needs)
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return folder

    def _prepare(self, peer: Peer, python: Path, out: Path, needs: list[str]) -> None:
        command = [str(python), str(HERE / "prepare.py"), peer.module, peer.variant, str(out)]
        command += [str(self._checkpoint), str(self._data), *needs]
        done = subprocess.run(
            command, env=clean_environment(self._threads), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
            raise BackendError(
                f"The files of {peer.name} cannot be made: {said[-1].strip()}",
                hint=f"Run it by hand to see more: {' '.join(command)}",
            )

    def _digest(self, peer: Peer, peers: Mapping[str, Peer]) -> str:
        code = [(HERE / name).read_bytes() for name in (*_SHARED, f"serving/{peer.module}.py")]
        parts = [self._inputs.encode(), peer.variant.encode(), *code]
        parts.append(requirements_digest(self._environments.requirements(peer.preparing)).encode())
        if peer.needs:
            parts.append(self._digest(peers[peer.needs], peers).encode())
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def clean_environment(threads: int, path: Path | None = None) -> dict[str, str]:
    """Variables of a peer's processes: nothing of this process' Python, the same threads for all, no network.

    Args:
        threads: compute threads; of thread pools that no option of a peer reaches, too.
        path: a folder to import from besides the environment.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return {
        **kept,
        **dict.fromkeys(pools, str(threads)),
        **({"PYTHONPATH": str(path)} if path is not None else {}),
        "HF_HUB_OFFLINE": "1",
        "NNCF_CI": "1",  # it sends usage statistics otherwise
    }


def _digest_files(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        digest.update(b"\0")
    return digest.hexdigest()
