"""The cache of plans: what is given back is what was stored, by this user, for exactly this key."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgebert.errors import ManifestError
from edgebert.runtime.plans import Fault, PlanCache, PlanKey, cache_folder
from tests.runtime.plans.keys import KEYS, PARTS, key

PLAN = bytes(range(256)) * 8
PER_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "deep" / "plans")


def faults(cache: PlanCache, wanted: PlanKey) -> list[Fault]:
    found = cache.find(wanted)
    assert found.plan is None
    return [refusal.fault for refusal in found.refusals]


def told(cache: PlanCache, wanted: PlanKey) -> str:
    (refusal,) = cache.find(wanted).refusals
    return str(refusal)


def test_an_empty_cache_has_nothing(cache: PlanCache) -> None:
    assert faults(cache, key()) == []
    assert cache.entries() == []
    assert not cache.folder.exists()


@PER_FOLDER
@given(key=KEYS, plan=st.binary(max_size=300))
def test_what_is_stored_is_found(tmp_path: Path, key: PlanKey, plan: bytes) -> None:
    cache = PlanCache(tmp_path)
    path = cache.store(key, plan)
    assert cache.find(key).plan == plan
    (entry,) = [entry for entry in cache.entries() if entry.path == path]
    assert (entry.key, entry.size, entry.refusal) == (key, path.stat().st_size, None)


def test_it_is_kept_for_its_owner_alone(cache: PlanCache) -> None:
    before = os.umask(0)
    try:
        path = cache.store(key(), PLAN)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert list(cache.folder.iterdir()) == [path]


def test_a_later_plan_takes_the_place_of_an_older(cache: PlanCache) -> None:
    assert cache.store(key(), b"older") == cache.store(key(), b"later")
    assert cache.find(key()).plan == b"later"
    assert len(cache.entries()) == 1


@pytest.mark.parametrize("part", [part for part in PARTS if part != "artifact"])
def test_a_plan_for_another_key_is_told_and_not_given(cache: PlanCache, part: str) -> None:
    cache.store(key(), PLAN)
    new: Any = {"compute_capability": (11, 0), "recipe": "c" * 64}.get(part, "another")
    here = part in ("gpu", "compute_capability", "system", "architecture")
    assert faults(cache, key(**{part: new})) == [Fault.FOREIGN if here else Fault.STALE]
    assert f"{part} was {getattr(key(), part)!r} and is {new!r}" in told(cache, key(**{part: new}))


def test_plans_of_other_artifacts_are_none_of_its_business(cache: PlanCache) -> None:
    cache.store(key(), PLAN)
    assert faults(cache, key(artifact="f" * 64)) == []


@PER_FOLDER
@given(data=st.data())
def test_a_spoilt_byte_is_never_given(tmp_path: Path, data: st.DataObject) -> None:
    cache = PlanCache(tmp_path)
    path = cache.store(key(), PLAN)
    content = bytearray(path.read_bytes())
    # Half of them in the first line, which is the smaller part.
    index = data.draw(st.integers(0, len(content) - len(PLAN) - 1) | st.integers(0, len(content) - 1))
    content[index] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert set(faults(cache, key())) <= {Fault.CORRUPTED, Fault.FOREIGN}
    assert len(cache.find(key()).refusals) == 1


@pytest.mark.parametrize("size", [0, 1, 100, -1, -len(PLAN)])
def test_a_truncated_file_is_corrupted(cache: PlanCache, size: int) -> None:
    path = cache.store(key(), PLAN)
    path.write_bytes(path.read_bytes()[:size])
    assert faults(cache, key()) == [Fault.CORRUPTED]
    (entry,) = cache.entries()
    assert entry.key is None


def test_a_file_with_more_is_corrupted(cache: PlanCache) -> None:
    path = cache.store(key(), PLAN)
    path.write_bytes(path.read_bytes() + b"x")
    assert "bytes, its header says" in told(cache, key())


@pytest.mark.parametrize(
    "line", [b"x" * 70_000, b"{}\n", b"[" * 60_000 + b"\n", b"\xff\n", b'{"format": "edgebert-plan/2"}\n']
)
def test_a_first_line_that_is_none_is_corrupted(cache: PlanCache, line: bytes) -> None:
    cache.store(key(), PLAN).write_bytes(line + PLAN)
    assert faults(cache, key()) == [Fault.CORRUPTED]
    assert len(told(cache, key())) < 600


def test_a_header_has_one_form_only(cache: PlanCache) -> None:
    path = cache.store(key(), PLAN)
    path.write_bytes(path.read_bytes().replace(b'", "', b'",\t"', 1))
    assert "written in another way" in told(cache, key())


def test_a_plan_under_another_name_is_foreign(cache: PlanCache) -> None:
    cache.store(key(tensorrt="8.6.0"), PLAN).rename(cache.folder / f"{key().digest()}.plan")
    assert "put there by hand" in told(cache, key())


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_plan_that_others_may_write_is_foreign(cache: PlanCache, mode: int) -> None:
    cache.store(key(), PLAN).chmod(mode)
    assert faults(cache, key()) == [Fault.FOREIGN]
    assert f"others may write to it (mode {mode:04o})" in told(cache, key())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_plan_of_another_user_is_foreign(cache: PlanCache) -> None:
    os.chown(cache.store(key(), PLAN), 12345, -1)
    assert faults(cache, key()) == [Fault.FOREIGN]
    assert "it belongs to the user 12345" in told(cache, key())
    os.chown(cache.folder, 12345, -1)
    assert str(cache.folder) in told(cache, key())
    assert cache.entries() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing of root's is foreign to root")
def test_a_folder_of_root_is_foreign_to_others() -> None:
    assert "it belongs to the user 0" in told(PlanCache(Path("/")), key())


def test_a_folder_that_others_may_write_to_is_foreign(cache: PlanCache) -> None:
    cache.store(key(), PLAN)
    cache.folder.chmod(0o777)
    assert faults(cache, key()) == [Fault.FOREIGN]
    assert cache.entries() == []
    cache.folder.chmod(0o755)
    assert cache.find(key()).plan == PLAN


@pytest.mark.parametrize("what", ["link", "fifo", "folder"])
def test_what_is_no_plain_file_is_not_read(cache: PlanCache, tmp_path: Path, what: str) -> None:
    path = cache.store(key(), PLAN)
    path.rename(tmp_path / "plan")
    if what == "link":
        path.symlink_to(tmp_path / "plan")
    elif what == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert faults(cache, key())[0] in (Fault.FOREIGN, Fault.CORRUPTED)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    (entry,) = cache.entries()
    assert entry.key is None


def test_remove(cache: PlanCache) -> None:
    cache.store(key(), PLAN)
    kept = cache.store(key(tensorrt="8.6.0"), PLAN)
    (entry,) = [entry for entry in cache.entries() if entry.key == key()]
    cache.remove(entry)
    cache.remove(entry)
    assert [entry.path for entry in cache.entries()] == [kept]
    assert faults(cache, key()) == [Fault.STALE]


@pytest.mark.parametrize("changes", [{"tensorrt": ""}, {"artifact": "ABC"}, {"compute_capability": (-1, 0)}], ids=str)
def test_a_key_that_could_not_be_read_again_is_not_stored(cache: PlanCache, changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match="the header of a plan"):
        cache.store(key(**changes), PLAN)
    assert not cache.folder.exists()


def test_the_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("EDGEBERT_PLAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == PlanCache().folder == tmp_path / ".cache/edgebert/plans"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache/edgebert/plans"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/edgebert/plans"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEBERT_PLAN_CACHE", "own")
    assert cache_folder() == tmp_path / "own"
