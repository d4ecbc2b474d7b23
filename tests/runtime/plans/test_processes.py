"""The cache in the hands of several processes, of dying ones, and where nothing can be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebert.bundle import rename, staging
from edgebert.errors import OutputError
from edgebert.runtime.plans import PlanCache, cache, folder
from tests.bundle import test_crash
from tests.bundle.test_writer import file_size_limit
from tests.runtime.plans.keys import key

ROOT = Path(__file__).parents[3]
NOBODY = 65534
BUILD = """
import sys, time
from pathlib import Path
from edgebert.runtime.plans import PlanCache
from tests.runtime.plans.keys import key

cache = PlanCache(Path(sys.argv[1]))
with cache.building():
    print("inside", flush=True)
    if cache.find(key()).plan is not None:
        print("found")
    elif sys.argv[2] == "stay":
        time.sleep(600)
    else:
        time.sleep(0.5)
        cache.store(key(), b"built")
        print("built")
"""


def start(folder: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(folder), how], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_the_second_of_two_builders_finds_the_plan_of_the_first(tmp_path: Path) -> None:
    both = [start(tmp_path / "plans", "build") for _ in range(2)]
    said = sorted(process.communicate()[0] for process in both)
    assert said == ["inside\nbuilt\n", "inside\nfound\n"]


def test_a_builder_that_is_killed_holds_nobody_up(tmp_path: Path) -> None:
    first = start(tmp_path, "stay")
    assert first.stdout is not None
    assert first.stdout.readline() == "inside\n"
    second = start(tmp_path, "build")
    assert second.poll() is None
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert second.communicate()[0] == "inside\nbuilt\n"


def test_without_a_lock_the_later_plan_stays_and_every_reader_gets_one_whole(tmp_path: Path) -> None:
    plans = [bytes([number]) * 100_000 for number in range(4)]
    children = []
    for plan in plans:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for _ in range(20):
                    PlanCache(tmp_path).store(key(), plan)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    reader, seen = PlanCache(tmp_path), []
    for child in children:
        while True:
            found = reader.find(key())
            seen.append(found.plan)
            assert found.plan in plans or (found.plan is None and not found.refusals)
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                assert status == 0
                break
    assert reader.find(key()).plan in plans
    assert [path.name for path in tmp_path.iterdir()] == [f"{key().digest()}.plan"]


def test_killed_at_any_line_it_leaves_a_whole_plan_or_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    code = tuple(module.__file__ for module in (cache, folder, staging, rename))
    monkeypatch.setattr(test_crash, "CODE", code)
    plans, states = PlanCache(tmp_path / "plans"), []
    plans.store(key(), b"old")
    for line in range(1, 500):
        plans.store(key(), b"old")
        if not test_crash.killed_at(line, lambda: plans.store(key(), b"new" * 1000)):
            break
        found = plans.find(key())
        assert found.refusals == ()
        states.append(found.plan)
    else:
        pytest.fail("the writer never came to its end")
    assert set(states) == {b"old", b"new" * 1000}
    assert len(states) > 30
    # The next writer clears up after all of them.
    plans.store(key(), b"last")
    assert [path.name for path in plans.folder.iterdir()] == [f"{key().digest()}.plan"]


def test_what_a_killed_writer_of_another_plan_left_is_cleared_up(tmp_path: Path) -> None:
    left = tmp_path / f".{'0' * 64}.plan.{2**22 + 1}.abcdefgh.partial"
    (left / "new").mkdir(parents=True)
    (tmp_path / ".not.ours.1.abcdefgh.partial").mkdir()
    PlanCache(tmp_path).store(key(), b"plan")
    assert not left.exists()
    assert (tmp_path / ".not.ours.1.abcdefgh.partial").exists()


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    plans = PlanCache(tmp_path)
    plans.store(key(), b"old")
    with file_size_limit(10_000), pytest.raises(OutputError, match=r"Cannot write '.*\.plan' \(10\d{4} bytes\)"):
        plans.store(key(), b"x" * 100_000)
    assert plans.find(key()).plan == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_in_the_way_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "plans"):
        with pytest.raises(OutputError, match=r"Cannot write|No plan") as caught:
            PlanCache(place).store(key(), b"plan")
        assert "EDGEBERT_PLAN_CACHE" in caught.value.hint
        assert PlanCache(place).find(key()).plan is None


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    for work in (
        lambda: PlanCache(tmp_path / "shared").store(key(), b""),
        PlanCache(tmp_path / "shared").building().__enter__,
    ):
        with pytest.raises(OutputError, match=r"No plan is kept in .* others may write to it \(mode 0777\)"):
            work()


def as_nobody(work: Callable[[], bool]) -> bool:
    """Whether ``work`` says yes in a child that is not root, whom no permission binds."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            status = 0 if work() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_home_that_cannot_be_written_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.geteuid() == 0:
            above.chmod(above.stat().st_mode | 0o011)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("EDGEBERT_PLAN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def refused() -> bool:
        plans = PlanCache()
        if plans.find(key()).plan is not None or plans.entries():
            return False
        try:
            plans.store(key(), b"plan")
        except OutputError as error:
            return "Permission denied" in error.message and "EDGEBERT_PLAN_CACHE" in error.hint
        return False

    assert as_nobody(refused)


def test_a_plan_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    plans = PlanCache(tmp_path / "plans")
    plans.store(key(), b"plan").chmod(0)
    for above in (plans.folder, tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.geteuid() == 0:
            above.chmod(above.stat().st_mode | 0o011)
    if os.geteuid() == 0:
        for path in (plans.folder, *plans.folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)

    def told() -> bool:
        (refusal,) = plans.find(key()).refusals
        return "cannot be read (Permission denied)" in str(refusal)

    assert as_nobody(told)
