"""EdgeBERT sees a board of stand-ins as it sees a Jetson."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.jetson.board import FULL_VERSIONS, FakeBoard

pytest.importorskip("onnxruntime")

_LOOK = """
import dataclasses, json
from edgebert.devices import find_runtimes
from edgebert.devices.gpu import find_gpus
print(json.dumps([[dataclasses.asdict(one) for one in find_runtimes("tensorrt")], dataclasses.asdict(find_gpus())]))
"""


@pytest.mark.parametrize("version", FULL_VERSIONS)
def test_edgebert_finds_tensorrt_and_the_gpu(version: str, tmp_path: Path) -> None:
    board = FakeBoard(tmp_path, version, gpu="Thor", capability=(11, 0), memory=64_000_000_000, cuda=(13, 0))
    done = board.python(_LOOK)
    assert done.returncode == 0, done.stderr
    (runtime,), gpus = json.loads(done.stdout)
    assert (runtime["version"], runtime["problem"]) == (FULL_VERSIONS[version], None)
    assert (gpus["problem"], gpus["cuda"], gpus["gpus"][0]["name"]) == (None, "13.0", "Thor")
    assert gpus["gpus"][0]["compute_capability"] == [11, 0] and gpus["gpus"][0]["memory_bytes"] == 64_000_000_000
    assert board.calls() == []  # it has only looked
    board.remove_driver()
    (runtime,), gpus = json.loads(board.python(_LOOK).stdout)
    assert runtime["problem"] is None and not gpus["driver"]


@pytest.mark.parametrize("version", FULL_VERSIONS)
def test_a_plan_is_built_and_runs(version: str, jetson_bundle: Path, tmp_path: Path) -> None:
    board = FakeBoard(tmp_path, version)
    done = board.edgebert("build-plan", jetson_bundle)
    assert done.returncode == 0, done.stderr
    assert [one["error"] for one in board.calls("build")] == [None]
    code = """
import sys, edgebert
with edgebert.load(sys.argv[1], artifact="tensorrt-fp16", strict=True) as model:
    item, options = model.example("a charming film")
    print(model(item, **options)[0]["label"])
"""
    board.forget()
    done = board.python(code, jetson_bundle)
    assert (done.returncode, done.stdout) == (0, "POSITIVE\n"), done.stderr
    assert len(board.calls("run")) > 1 and board.calls("build") == []
    kept = [one[name] for one in board.leaks() for name in ("device", "pinned", "streams", "graphs", "events")]
    assert not any(kept)
