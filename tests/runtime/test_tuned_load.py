"""``load`` with a ranking that was measured on this device."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import edgebert
from edgebert.bundle import open_bundle
from edgebert.devices import describe_machine, find_runtimes
from edgebert.runtime.load import load_configuration
from edgebert.runtime.ranking import Refused
from edgebert.runtime.ranking_key import key_of
from edgebert.runtime.ranking_store import store_ranking
from edgebert.runtime.selection import Configuration
from tests.runtime.rankings import entry, ranking
from tests.runtime.test_cascade import write_cascade

TEXT = "a charming film"
Remember = Callable[..., Path]


@pytest.fixture
def remember(bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remember:
    """Keeps a ranking: OpenVINO with 1 thread, ONNX with 2, TFLite with 1 and without its bucket of 16."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def keep(**changes: object) -> Path:
        bundle = open_bundle(bundle_path)
        key = replace(key_of(bundle, describe_machine(), find_runtimes()), **changes)
        entries = (
            entry(Configuration("openvino-fp32", 1), 2.5),
            entry(Configuration("onnx-fp32", 2), 3.5),
            entry(Configuration("tflite-fp32", 1, (8, 64)), 4.5, processes=1),
        )
        refused = (Refused(Configuration("openvino-fp32", 2), "its answers change"),)
        return store_ranking(bundle, ranking(key, entries=entries, refused=refused))

    return keep


def test_order_and_threads_are_those_that_were_measured(bundle_path: Path, remember: Remember) -> None:
    with edgebert.load(bundle_path) as model:
        before = model.explain()
    assert (before.chosen, before.tuned, before.not_tuned) == ("onnx-fp32", None, "")
    remember()
    with edgebert.load(bundle_path) as model:
        told = model.explain()
        answer = model(TEXT)
    assert (told.chosen, told.facts.threads) == ("openvino-fp32", 1)
    assert told.tuned is not None
    assert (told.tuned.objective, told.tuned.created) == ("latency", "2026-01-31T12:00:00Z")
    assert told.tuned.figures["onnx-fp32, 2 threads"] == "3.50 ms (3.15 to 3.85)"
    assert [(v.artifact, v.status, v.reason) for v in told.verdicts] == [
        ("openvino-fp32", "chosen", "2.50 ms (2.25 to 2.75) with 1 thread"),
        ("onnx-fp32", "not needed", "3.50 ms (3.15 to 3.85) with 2 threads"),
        ("tflite-fp32", "not needed", "4.50 ms with 1 thread, buckets 8, 64"),
    ]
    assert "artifacts, best first, in the order measured on 2026-01-31 for latency:" in str(told)
    with edgebert.load(bundle_path, tuned=False) as model:
        assert model.explain() == replace(before, self_test=model.explain().self_test)
        assert model(TEXT) == [{"label": answer[0]["label"], "score": pytest.approx(answer[0]["score"], abs=1e-5)}]


def test_without_a_ranking_nothing_is_imported_for_it(bundle_path: Path, tmp_path: Path) -> None:
    code = "import sys, edgebert; edgebert.load(sys.argv[1]).close(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle_path)],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "edgebert.runtime.ranking_store" in loaded
    assert loaded.isdisjoint({"edgebert.runtime.ranking", "edgebert.runtime.ranking_key"})


def test_arguments_come_before_what_was_measured(bundle_path: Path, remember: Remember) -> None:
    remember()
    with edgebert.load(bundle_path, threads=2) as model:
        assert (model.artifact, model.explain().facts.threads) == ("onnx-fp32", 2)
        assert model.explain().tuned is not None
    with edgebert.load(bundle_path, artifact="onnx-fp32", threads=1) as model:
        assert model.explain().facts.threads == 1
        assert "it has nothing of what was asked for" in str(model.explain())
    with edgebert.load(bundle_path, backend="tflite") as model:
        assert model.explain().facts.threads == 1
        assert model.explain().verdicts[0].reason.endswith("buckets 8, 64")
        with edgebert.load(bundle_path, backend="tflite", tuned=False) as other:
            long = "good film " * 6  # 14 tokens: in the bucket of 64, and of 16
            assert model(long)[0]["score"] == pytest.approx(other(long)[0]["score"], abs=1e-5)
    with edgebert.load(bundle_path, threads=3) as model:
        assert (model.artifact, model.explain().facts.threads) == ("onnx-fp32", 3)
        assert model.explain().tuned is None


def test_a_ranking_for_other_versions_is_told_and_not_used(bundle_path: Path, remember: Remember) -> None:
    remember(edgebert="0.0.9")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = edgebert.load(bundle_path)
    with model:
        assert model.artifact == "onnx-fp32"
        line = f"ranking: that of 2026-01-31 for latency is not used: edgebert: 0.0.9 then, {edgebert.__version__} now"
        assert line in str(model.explain()).splitlines()


def test_a_spoilt_ranking_is_passed_over_with_one_warning(bundle_path: Path, remember: Remember) -> None:
    path = remember()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.warns(edgebert.RankingWarning) as caught:
        model = edgebert.load(bundle_path)
    [warning] = caught
    assert str(path) in str(warning.message)
    assert "`edgebert tune`" in str(warning.message)
    assert warning.filename == __file__
    with model:
        assert model.artifact == "onnx-fp32"
        assert str(path) in model.explain().not_tuned


def test_what_was_measured_best_and_fails_is_passed_over(
    bundle_path: Path, remember: Remember, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebert.runtime.engines import ENGINES

    remember()
    monkeypatch.setitem(ENGINES, "openvino", "edgebert.runtime.engines.base:OpenVinoEngine")  # which is not there
    with pytest.warns(edgebert.BackendFallbackWarning, match="openvino-fp32"):
        model = edgebert.load(bundle_path)
    with model:
        assert (model.artifact, model.explain().facts.threads) == ("onnx-fp32", 2)


def test_one_configuration_is_loaded_as_it_is_whatever_is_kept(bundle_path: Path, remember: Remember) -> None:
    remember()
    with load_configuration(bundle_path, Configuration("tflite-fp32", 2, (64,))) as model:
        facts, told = model.explain().facts, model.explain()
        assert (facts.artifact, facts.threads) == ("tflite-fp32", 2)
        assert told.self_test.lengths == (64,)
        assert (told.tuned, told.not_tuned) == (None, "")


def test_a_cascade_follows_one_ranking_as_a_whole(bundle_path: Path, remember: Remember, tmp_path: Path) -> None:
    path = write_cascade(tmp_path / "c.edgebert", bundle_path, bundle_path, threshold=0.9)
    remember()  # of the bundle alone, which is inside as well: it is about something else
    with edgebert.load(path) as model:
        told = model.explain()
        assert (told.chosen, told.bigger and told.bigger.explanation.chosen) == ("onnx-fp32", "onnx-fp32")
        assert "the bundle was another one of the same name" in told.not_tuned
    whole = open_bundle(path)
    key = key_of(whole, describe_machine(), find_runtimes())
    store_ranking(whole, ranking(key, entries=(entry(Configuration("tflite-fp32", 1)),), refused=()))
    with edgebert.load(path) as model:
        told = model.explain()
        assert told.bigger is not None
        for one in (told, told.bigger.explanation):
            assert (one.chosen, one.facts.threads) == ("tflite-fp32", 1)
            assert one.tuned is not None
