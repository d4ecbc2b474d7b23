"""Outputs that exist or cannot be written, full disks and interruptions: nothing is left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("optimum")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import edgebert
from edgebert.convert import pipeline
from edgebert.errors import OutputError
from tests.convert.pipeline.support import ONNX, Recorder, left


def test_an_output_that_exists(run: Any, copied: list[str], tmp_path: Path) -> None:
    run()
    manifest = tmp_path / "out/tiny.edgebert/manifest.json"
    before = manifest.read_bytes()
    copied.clear()
    with pytest.raises(OutputError, match="exists already") as caught:
        run()
    assert "--overwrite" in caught.value.hint
    assert (manifest.read_bytes(), copied) == (before, [])
    run(overwrite=True, command=("again",))
    assert json.loads(manifest.read_bytes())["provenance"]["command"] == ["again"]
    assert left(tmp_path) == ["tiny.edgebert"]


def test_a_folder_of_somebody_else_is_not_replaced(run: Any, copied: list[str], tmp_path: Path) -> None:
    (tmp_path / "out" / "tiny.edgebert").mkdir(parents=True)
    (tmp_path / "out" / "tiny.edgebert" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is not replaced"):
        run(overwrite=True)
    assert (tmp_path / "out" / "tiny.edgebert" / "thesis.txt").read_text() == "years of work"
    assert copied == []


def test_a_missing_folder(run: Any, copied: list[str], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        run(out=tmp_path / "nowhere" / "tiny.edgebert")
    assert copied == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder(run: Any, copied: list[str], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        run(out=tmp_path / "locked" / "tiny.edgebert")
    assert copied == []


def test_a_folder_that_not_even_root_may_write(run: Any, copied: list[str]) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs /proc")
    with pytest.raises(OutputError, match=r"Cannot write '/proc/tiny\.edgebert'"):
        run(out="/proc/tiny.edgebert")
    assert copied == []


Usage = namedtuple("Usage", "total used free")


def test_a_full_disk_at_the_start(run: Any, copied: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 10_000_000))
    with pytest.raises(OutputError, match=r"needs about \d+ MB .* 10 MB are free") as caught:
        run()
    assert caught.value.hint
    assert copied == []
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.bin"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    ],
)
def test_a_disk_that_runs_full_in_an_exporter(
    failure: OSError, run: Any, harm: dict[str, Any], copied: list[str], tmp_path: Path
) -> None:
    harm["onnx-fp32"] = failure
    with pytest.raises(OutputError, match=str(failure.strerror)):
        run()
    assert copied == ["onnx-fp32"]  # the others would fail for the same reason
    assert left(tmp_path) == []


def test_a_full_disk_behind_another_error(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    failure = RuntimeError("serialization failed")
    failure.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    harm["onnx-int8"] = failure
    with pytest.raises(OutputError, match="No space left"):
        run()
    assert left(tmp_path) == []


def test_a_full_disk_that_the_exporter_does_not_name(
    run: Any, harm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(RuntimeError):
        def __init__(self) -> None:
            super().__init__("basic_ios::clear: iostream error")

    real = shutil.disk_usage
    free = iter([None])  # enough before the start; nothing afterwards
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: real(path) if next(free, 0) is None else Usage(10**9, 10**9, 4096)
    )
    harm["onnx-int8"] = Full()
    with pytest.raises(OutputError, match="No space left"):
        run()
    assert left(tmp_path) == []


STEPS = 3 + 3 * len(ONNX) + 1


@pytest.mark.parametrize("step", range(1, STEPS + 1))
@pytest.mark.parametrize("old", [False, True])
def test_an_interruption_leaves_nothing_and_keeps_the_old_bundle(
    step: int, old: bool, run: Any, tmp_path: Path
) -> None:
    before = None
    if old:
        run()
        before = (tmp_path / "out/tiny.edgebert/manifest.json").read_bytes()
    recorder = Recorder(interrupt=step)
    with pytest.raises(KeyboardInterrupt):
        run(overwrite=True, progress=recorder)
    assert len(recorder.seen) == step
    assert left(tmp_path) == (["tiny.edgebert"] if old else [])
    if old:
        assert (tmp_path / "out/tiny.edgebert/manifest.json").read_bytes() == before
        edgebert.load(tmp_path / "out/tiny.edgebert", strict=True).close()


def test_there_are_as_many_steps_as_are_interrupted(run: Any) -> None:
    recorder = Recorder()
    run(progress=recorder)
    assert len(recorder.seen) == STEPS


def test_an_interruption_inside_an_exporter(run: Any, harm: dict[str, Any], tmp_path: Path) -> None:
    harm["onnx-int8"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run()
    assert left(tmp_path) == []


def test_a_bundle_that_cannot_answer_is_not_written(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: Any, **options: Any) -> Any:
        raise edgebert.SelfTestError("it fails on the first run")

    monkeypatch.setattr(pipeline, "load", load)
    with pytest.raises(edgebert.SelfTestError, match="first run"):
        run()
    assert left(tmp_path) == []
