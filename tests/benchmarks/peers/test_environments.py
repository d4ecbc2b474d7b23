"""Environments are bound to their requirements, and are there whole or not at all. None is made of real packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.environments import REQUIREMENTS, Environments, requirements_digest

from edgebert.errors import BackendError, OutputError


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    folder = tmp_path / "requirements"
    folder.mkdir()
    (folder / "empty.txt").write_text("# nothing\n")
    (folder / "missing.txt").write_text(f"{tmp_path}/nothing-1.0-py3-none-any.whl\n")
    return folder


def test_the_name_of_an_environment_follows_its_requirements(tmp_path: Path, requirements: Path) -> None:
    environments = Environments(tmp_path / "envs", print, requirements)
    first = environments.folder("empty")
    assert first.name == f"empty-{requirements_digest('# nothing' + chr(10))}"
    (requirements / "empty.txt").write_text("numpy\n")
    second = environments.folder("empty")
    (requirements / "empty.no-deps.txt").write_text("tokenizers\n")
    assert len({first, second, environments.folder("empty")}) == 3


def test_an_environment_is_made_once_and_an_unfinished_one_again(tmp_path: Path, requirements: Path) -> None:
    lines: list[str] = []
    environments = Environments(tmp_path / "envs", lines.append, requirements)
    unfinished = environments.folder("empty")
    unfinished.mkdir(parents=True)
    (unfinished / "left over").touch()
    assert not environments.exists("empty")
    python = environments.python("empty")
    assert python.is_file() and not (unfinished / "left over").exists()
    assert "pip" in environments.installed("empty")
    assert environments.python("empty") == python
    assert Environments(tmp_path / "envs", lines.append, requirements).python("empty") == python
    assert lines == [f"making the environment {unfinished.name}"]


def test_an_environment_that_cannot_be_made_says_why_and_is_tried_once(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lines: list[str] = []
    environments = Environments(tmp_path / "envs", lines.append, requirements)
    for _ in range(2):
        with pytest.raises(BackendError, match=r"The environment missing cannot be made: ERROR: .*nothing-1\.0"):
            environments.python("missing")
    assert len(lines) == 1 and not environments.exists("missing")


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path, requirements: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        Environments(tmp_path / "file" / "envs", print, requirements).python("empty")


def test_every_requirement_is_pinned() -> None:
    for path in REQUIREMENTS.glob("*.txt"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        assert lines and all("==" in line.partition(";")[0] for line in lines), path.name
