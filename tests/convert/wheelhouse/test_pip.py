"""Why pip fails is told apart."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
from pathlib import Path

import pytest

from edgebert.convert.wheelhouse.pip import NoWheel, Pip
from edgebert.errors import OutputError


def test_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match="has no pip") as refused:
        Pip(tmp_path)
    assert "ensurepip" in refused.value.hint


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound and not listening: a connection is refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
        with pytest.raises(OutputError, match=r"pip reaches no package index \(Connection refused\)"):
            Pip(tmp_path).run("download", "--dest", tmp_path, "click")


def test_no_such_wheel(tmp_path: Path, offline: Path) -> None:
    with pytest.raises(NoWheel) as refused:
        Pip(tmp_path).run("download", "--dest", tmp_path, "no-such-thing>=2")
    assert refused.value.requirement == "no-such-thing>=2"


def test_a_wrong_use_is_told_with_the_words_of_pip(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="pip download fails: no such option: --dust"):
        Pip(tmp_path).run("download", "--dust")


def test_temporary_files_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def run(*args: object, env: dict[str, str], **options: object) -> subprocess.CompletedProcess[str]:
        seen.update(env)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    Pip(tmp_path).run("download")
    assert seen["TMPDIR"] == str(tmp_path)
