"""Rankings: the format, what one holds for, and where it is kept."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebert.bundle import Bundle
from edgebert.errors import ManifestError, OutputError
from edgebert.runtime.ranking import Ranking, dump_ranking, parse_ranking
from edgebert.runtime.ranking_key import key_of
from edgebert.runtime.ranking_store import Found, find_ranking, forget_rankings, store_ranking
from edgebert.runtime.selection import Configuration
from tests.runtime.rankings import MACHINE, RANKINGS, RUNTIMES, bundle, entry, ranking

FAST = settings(deadline=None, max_examples=60)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where rankings are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgebert" / "tuning"


@pytest.fixture
def own(tmp_path: Path) -> Bundle:
    return bundle(tmp_path)


def find(own: Bundle, **changes: Any) -> Found:
    return find_ranking(own, replace(MACHINE, **changes), RUNTIMES)


@FAST
@given(RANKINGS)
def test_what_is_written_is_read(one: Ranking) -> None:
    assert parse_ranking(dump_ranking(one)) == one


@FAST
@given(RANKINGS, st.data())
def test_a_spoilt_byte_is_never_taken(one: Ranking, data: st.DataObject) -> None:
    content = bytearray(dump_ranking(one))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ManifestError):
        parse_ranking(bytes(content))


@FAST
@given(RANKINGS, st.data())
def test_what_was_cut_is_never_taken(one: Ranking, data: st.DataObject) -> None:
    content = dump_ranking(one)
    with pytest.raises(ManifestError):
        parse_ranking(content[: data.draw(st.integers(0, len(content) - 1))])


@FAST
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists, max_leaves=9))
def test_any_other_json_is_one_error(value: object) -> None:
    for content in (value, {"format": value}, {**json.loads(dump_ranking(ranking())), "entries": value}):
        with pytest.raises(ManifestError):
            parse_ranking(json.dumps(content).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"objective": "speed"}, "objective: is 'speed'"),
        ({"created": "yesterday"}, "created: is 'yesterday'"),
        ({"entries": []}, "entries: has 0 items"),
        ({"more": 1}, "more: unknown key"),
        ({"format": "edgebert-ranking/2"}, "format: is 'edgebert-ranking/2'"),
        ({"texts": "given"}, "was altered"),
    ],
)
def test_a_refusal_names_the_place(change: dict[str, Any], said: str) -> None:
    content = {**json.loads(dump_ranking(ranking())), **change}
    with pytest.raises(ManifestError) as caught:
        parse_ranking(json.dumps(content).encode())
    assert said in caught.value.message


def test_what_could_not_be_read_is_not_written() -> None:
    with pytest.raises(ManifestError, match="value"):
        dump_ranking(ranking(entries=(entry(Configuration("onnx-fp32", 1), float("nan")),)))


def test_without_a_ranking_nothing_is_found_or_made(own: Bundle, folder: Path) -> None:
    assert find(own) == Found()
    assert not folder.parent.exists()


def test_what_is_stored_is_found_by_its_key(own: Bundle, folder: Path) -> None:
    path = store_ranking(own, ranking())
    assert find(own) == Found(ranking())
    assert list(folder.iterdir()) == [path]
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)
    again = ranking(objective="memory")
    assert store_ranking(own, again) == path
    assert find(own) == Found(again)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "another CPU"}, "model: a CPU then, another CPU now"),
        ({"physical_cores": 1, "performance_cores": 1}, "physical cores: 2 then, 1 now; performance cores: 2 then"),
        ({"isa": frozenset(("avx2",))}, "other instruction sets"),
        ({"memory_bytes": 2**32}, "memory gib: 8 then, 4 now"),
    ],
)
def test_on_another_device_it_is_told_and_not_used(own: Bundle, changes: dict[str, Any], said: str) -> None:
    store_ranking(own, ranking())
    found = find(own, **changes)
    assert (found.ranking, found.fault) == (None, "")
    assert found.stale.startswith("that of 2026-01-31 for latency is not used: ")
    assert said in found.stale


def test_memory_that_the_kernel_keeps_for_itself_changes_nothing(own: Bundle) -> None:
    store_ranking(own, ranking())
    assert find(own, memory_bytes=2**33 - 500 * 2**20, available_bytes=7).ranking is not None


@pytest.mark.parametrize(
    ("place", "version", "said"),
    [
        (0, "1.31", "onnxruntime: 1.30 then, 1.31 now"),
        (1, None, "openvino is gone"),
        (3, "2.14", "tflite-runtime is new"),
    ],
)
def test_with_other_backends_it_is_told_and_not_used(own: Bundle, place: int, version: str | None, said: str) -> None:
    store_ranking(own, ranking())
    runtimes = list(RUNTIMES)
    runtimes[place] = replace(runtimes[place], version=version, problem=None if version else "it is not installed")
    found = find_ranking(own, MACHINE, runtimes)
    assert found.ranking is None
    assert found.stale.endswith(f": {said}")


def test_a_backend_that_the_bundle_does_not_need_changes_nothing(own: Bundle) -> None:
    store_ranking(own, ranking())
    assert find_ranking(own, MACHINE, RUNTIMES[:4]).ranking is not None


def test_another_bundle_of_the_name_is_told(own: Bundle) -> None:
    store_ranking(own, ranking())
    other = replace(own, digest="c" * 64)
    assert find(other).stale.endswith("the bundle was another one of the same name")
    assert find(replace(own, manifest=replace(own.manifest, name="other"), digest="c" * 64)) == Found()


def test_the_newest_of_several_is_told(own: Bundle) -> None:
    for age, cores in enumerate((1, 3, 2)):
        key = key_of(own, replace(MACHINE, logical_cores=cores), RUNTIMES)
        os.utime(store_ranking(own, ranking(key)), (1000 - age, 1000 - age))
    assert "logical cores: 1 then, 4 now" in find(own).stale


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "is not JSON"),
        (lambda path: path.write_bytes(b""), "is not JSON"),
        (lambda path: path.write_bytes(b" " * (2 << 20)), "bytes"),
        (lambda path: path.chmod(0o602), "others may write to it"),
        (lambda path: path.parent.chmod(0o777), "the folder is not this user's alone"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "cannot be read"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a plain file"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_named(own: Bundle, spoil: Any, said: str) -> None:
    path = store_ranking(own, ranking())
    spoil(path)
    found = find(own)
    assert found.ranking is None
    assert str(path) in found.fault
    assert said in found.fault


def test_a_file_under_another_name_is_not_taken(own: Bundle) -> None:
    here = store_ranking(own, ranking())
    elsewhere = store_ranking(own, ranking(key_of(own, replace(MACHINE, logical_cores=9), RUNTIMES)))
    elsewhere.replace(here)
    assert "put there by hand" in find(own).fault


@pytest.mark.parametrize("configuration", [Configuration("onnx-int4", 1), Configuration("tflite-int8", 1, (16, 32))])
def test_what_the_bundle_has_not_is_not_taken(own: Bundle, configuration: Configuration) -> None:
    store_ranking(own, ranking(entries=(entry(configuration),)))
    assert "artifacts or buckets that the bundle has not" in find(own).fault


def test_a_spoilt_ranking_for_something_else_is_not_worth_a_word(own: Bundle) -> None:
    store_ranking(own, ranking()).write_bytes(b"x")
    assert find(own, logical_cores=1) == Found()


def test_forgetting_removes_those_of_this_bundle(own: Bundle, folder: Path) -> None:
    assert forget_rankings(own) == 0
    other = replace(own, digest="c" * 64)
    kept = store_ranking(other, ranking(key_of(other, MACHINE, RUNTIMES)))
    store_ranking(own, ranking())
    store_ranking(own, ranking(key_of(own, replace(MACHINE, logical_cores=1), RUNTIMES))).write_bytes(b"spoilt")
    assert forget_rankings(own) == 2
    assert list(folder.iterdir()) == [kept]


def test_a_folder_of_others_is_not_written_to(own: Bundle, folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(OutputError, match="others may write to it") as caught:
        store_ranking(own, ranking())
    assert "XDG_CACHE_HOME" in caught.value.hint
    assert list(folder.iterdir()) == []


def test_a_cache_that_is_a_file_is_one_error(own: Bundle, folder: Path) -> None:
    folder.parent.parent.mkdir(parents=True)
    folder.parent.write_bytes(b"")
    with pytest.raises(OutputError):
        store_ranking(own, ranking())
    assert find(own) == Found()


def test_what_a_killed_writer_left_is_cleared_up(own: Bundle, folder: Path) -> None:
    path = store_ranking(own, ranking())
    left = folder / f".{path.name}.999999999.abcdefgh.partial"
    (left / "new").mkdir(parents=True)
    store_ranking(own, ranking())
    assert list(folder.iterdir()) == [path]


def test_a_user_without_a_home_has_none(own: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert find(own) == Found()
    with pytest.raises(OutputError, match="no home"):
        store_ranking(own, ranking())
