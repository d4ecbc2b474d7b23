"""A writer that is killed at any line of its code leaves the old bundle, the new one, or none."""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from edgebert.bundle import BundleWriter, open_bundle, rename
from edgebert.errors import BundleError
from tests.bundle import samples

# Where the file system is touched; every line there is one moment to die at.
CODE = tuple(str(Path(rename.__file__).with_name(name)) for name in ("writer.py", "rename.py", "staging.py"))
MANY = 50


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process has written is in the kernel's hands: fsync matters to power cuts only, and is slow."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def killed_at(line: int, work: Callable[[], object]) -> bool:
    """Runs ``work`` in a child that is killed (SIGKILL) at the ``line``-th line of CODE it comes to.

    The third and later visits to the same line (the bundle's third file, and so on) are not counted.

    Returns:
        False when the work was finished before.
    """
    child = os.fork()
    if child == 0:
        seen = 0
        visits: Counter[tuple[str, int]] = Counter()

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal seen
            if frame.f_code.co_filename not in CODE:
                return None
            place = (frame.f_code.co_filename, frame.f_lineno)
            visits[place] += event == "line"
            seen += event == "line" and visits[place] <= 2
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def state(out: Path) -> str:
    """The name of the bundle at ``out``, whole in every byte, or "none"."""
    if not out.exists():
        return "none"
    bundle = open_bundle(out)
    bundle.verify_all()
    return bundle.manifest.name


def sweep(tmp_path: Path, *, old: bool) -> list[tuple[str, str]]:
    """For a death at each line: what lies at ``out`` right after it, and once another writer has come and gone."""
    states = []
    for line in range(1, 10_000):
        out = tmp_path / str(line) / "tiny.edgebert"
        out.parent.mkdir()
        if old:
            samples.write_bundle(out, name="old")
        alive = not killed_at(line, lambda out=out: samples.write_bundle(out, overwrite=True, name="new"))  # type: ignore[misc]
        after = state(out)
        with BundleWriter(out, overwrite=True):
            pass
        assert {entry.name for entry in out.parent.iterdir()} <= {out.name}, f"left behind at line {line}"
        states.append((after, state(out)))
        if alive:
            return states
    raise AssertionError("the writer never came to its end")


def order(states: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The states in the order of their first appearance."""
    return list(dict.fromkeys(states))


def test_new_bundle(tmp_path: Path) -> None:
    states = sweep(tmp_path, old=False)
    assert len(states) > MANY
    assert order(states) == [("none", "none"), ("new", "new")]


def test_replacing_with_exchange(tmp_path: Path) -> None:
    probe = [tmp_path / "a", tmp_path / "b"]
    for folder in probe:
        folder.mkdir()
    if not rename.exchange(*probe):
        pytest.skip("the file system of the temporary folder cannot exchange two folders")
    (tmp_path / "sweep").mkdir()
    states = sweep(tmp_path / "sweep", old=True)
    assert len(states) > MANY
    assert order(states) == [("old", "old"), ("new", "new")]


def test_replacing_with_two_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rename, "exchange", lambda one, other: False)
    states = sweep(tmp_path, old=True)
    # Between the renames there is none; the next writer finds the old one and puts it back.
    assert order(states) == [("old", "old"), ("none", "old"), ("new", "new")]


def test_half_a_bundle_is_refused(tmp_path: Path) -> None:
    """What a crash leaves in the temporary folder is no bundle until everything is on the disk."""
    out = tmp_path / "tiny.edgebert"
    seen = set()
    for line in range(1, 10_000, 7):
        killed_at(line, lambda: samples.write_bundle(out))
        if out.exists():
            break
        for partial in tmp_path.glob(".tiny.edgebert.*.partial/new"):
            try:
                open_bundle(partial).verify_all()
                seen.add("whole")
            except BundleError:
                seen.add("refused")
    assert out.exists()
    assert "refused" in seen


def test_folder_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "tiny.edgebert"
    with BundleWriter(out) as first:
        first.write("tokenizer.json", b"{}")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                samples.write_bundle(out)
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (first.staging / "tokenizer.json").read_bytes() == b"{}"
    assert [entry.name for entry in tmp_path.iterdir()] == [out.name]
    open_bundle(out).verify_all()


def test_locked_folder_is_left_alone_even_if_its_pid_is_gone(tmp_path: Path) -> None:
    """The pid may belong to another container on the same disk: the lock decides."""
    out = tmp_path / "tiny.edgebert"
    with BundleWriter(out) as writer:
        mine = writer.staging.parent
        foreign = mine.with_name(re.sub(r"\.[0-9]+\.", f".{dead_pid()}.", mine.name, count=1))
        mine.rename(foreign)
        samples.write_bundle(out)
        assert foreign.is_dir()
        foreign.rename(mine)
    assert [entry.name for entry in tmp_path.iterdir()] == [out.name]


def test_similar_names_are_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "tiny.edgebert"
    pid = dead_pid()
    keep = [f".tiny.edgebert2.{pid}.abcdefgh.partial", f".tiny.edgebert.{pid}.partial", ".tiny.edgebert.x.partial"]
    for name in keep:
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f".tiny.edgebert.{pid}.linkabcd.partial").symlink_to("elsewhere")
    samples.write_bundle(out)
    assert len(list(tmp_path.iterdir())) == len(keep) + 3


def dead_pid() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child
